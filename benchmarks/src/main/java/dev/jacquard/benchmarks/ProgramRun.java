package dev.jacquard.benchmarks;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.session.StepCost;

/**
 * One program on one backend with one sequence: a step is a call, without engine or threads of
 * ours.
 */
final class ProgramRun implements AutoCloseable {
  private final Backend backend;
  private final Program program;
  private final Executable executable;
  private final KvCache cache;
  private final StepInputs inputs;
  private KvSequence sequence;
  private AttentionPolicy attention = AttentionPolicy.DENSE;
  private NeuronRule neurons = NeuronRule.ALL;
  private HeadRule head = HeadRule.DENSE;

  ProgramRun(
      String backendName, int threads, Program program, KvFormat kvFormat, CompileOptions options) {
    this.program = program;
    backend = Backends.open(backendName, new BackendOptions(threads));
    executable = backend.compile(program, options);
    cache = new PagedKvCache(backend.allocateKv(program.kv(), kvFormat), Long.MAX_VALUE);
    inputs = new StepInputs(options.maxRows(), program.kv().groupWindows().size());
    sequence = cache.newSequence();
  }

  /** Has steps of a single token leave something out. */
  void leaveOut(AttentionPolicy policy, NeuronRule neuronRule, HeadRule headRule) {
    attention = policy;
    neurons = neuronRule;
    head = headRule;
  }

  /** Runs {@code tokens[from … to)} as one step; the last {@code outputs} rows give logits. */
  void step(int[] tokens, int from, int to, int outputs) {
    inputs.clear();
    boolean single = to == from + 1;
    sequence.append(inputs, tokens, from, to, outputs, single ? attention : AttentionPolicy.DENSE);
    if (single) {
      inputs.setNeurons(0, neurons);
      inputs.setHead(0, head);
    }
    executable.run(inputs, cache.storage(), null);
  }

  /** Where keys and values are. */
  KvStorage storage() {
    return cache.storage();
  }

  /** What the last step, of a single token at {@code position}, cost by counting. */
  CountedCost counted(int position) {
    return CountedCost.of(cost(), executable, position);
  }

  /** Runs {@code tokens[from … to)}; the last row gives the logits that a rule wants. */
  void step(int[] tokens, int from, int to, HeadRule head) {
    inputs.clear();
    sequence.append(inputs, tokens, from, to, 1, AttentionPolicy.DENSE);
    inputs.setHead(0, head);
    executable.run(inputs, cache.storage(), null);
  }

  /** What the head computed for the first output of the last step. */
  HeadReport.Row head() {
    return executable.head().row(0);
  }

  /** Computes the logits that the last step left out. */
  void completeHead() {
    executable.completeHead();
  }

  /**
   * Appends {@code tokens[0 … to)} by another program over the same cache, as one that only writes
   * keys and values.
   */
  void fill(Program writer, CompileOptions options, int[] tokens, int to) {
    try (Executable filler = backend.compile(writer, options)) {
      for (int from = 0; from < to; from += options.maxRows()) {
        inputs.clear();
        int end = Math.min(to, from + options.maxRows());
        sequence.append(inputs, tokens, from, end, 0, AttentionPolicy.DENSE);
        filler.run(inputs, cache.storage(), null);
      }
    }
  }

  /** Copies the logits of output row {@code i} of the last step. */
  float[] logits(int i) {
    float[] logits = new float[program.logits().width()];
    executable.read(program.logits(), i, logits, 0);
    return logits;
  }

  /** Forgets everything from {@code length} on; starts anew if a window forbids it. */
  void rewind(int length) {
    if (length == 0) {
      sequence.close();
      sequence = cache.newSequence();
    } else {
      sequence.truncate(length);
    }
  }

  /** What a token costs by counting. */
  StepCost cost() {
    return StepCost.of(executable.weightBytesPerStep(), program, cache.storage().format());
  }

  String backendDescription() {
    return backend.description();
  }

  @Override
  public void close() {
    sequence.close();
    cache.close();
    executable.close();
    backend.close();
  }
}
