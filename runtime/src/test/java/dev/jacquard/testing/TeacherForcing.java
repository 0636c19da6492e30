package dev.jacquard.testing;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.ModelFile;

/**
 * Feeds given tokens to a model, whatever it would have said itself, and hands over its logits.
 *
 * @param backend runs the model; stays open
 * @param kvFormat how keys and values are rounded
 * @param chunk most tokens of a step
 */
public record TeacherForcing(Backend backend, KvFormat kvFormat, int chunk) {
  /** Receives the logits after one position; the array is reused for the next. */
  @FunctionalInterface
  public interface Consumer {
    /** {@code logits[id]} after the token at {@code position}. */
    void accept(int position, float[] logits);
  }

  /** Hands over the logits after each of the last {@code outputs} tokens, in order. */
  public void run(ModelFile file, int[] tokens, int outputs, Consumer consumer) {
    Program program =
        Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
    int maxRows = Math.min(chunk, tokens.length);
    int groups = program.kv().groupWindows().size();
    StepInputs inputs = new StepInputs(maxRows, groups);
    float[] logits = new float[program.logits().width()];
    try (Executable executable =
            backend.compile(program, CompileOptions.of(maxRows, Math.min(maxRows, outputs)));
        PagedKvCache cache =
            new PagedKvCache(backend.allocateKv(program.kv(), kvFormat), tokens.length);
        KvSequence sequence = cache.newSequence()) {
      while (sequence.length() < tokens.length) {
        int from = sequence.length();
        int to = Math.min(from + maxRows, tokens.length);
        int wanted = Math.clamp(to - (tokens.length - outputs), 0, to - from);
        inputs.clear();
        sequence.append(inputs, tokens, from, to, wanted, AttentionPolicy.DENSE);
        executable.run(inputs, cache.storage(), null);
        for (int i = 0; i < wanted; i++) {
          executable.read(program.logits(), i, logits, 0);
          consumer.accept(to - wanted + i, logits);
        }
      }
    }
  }

  /** The logits after every token: {@code [position][id]}. */
  public float[][] run(ModelFile file, int[] tokens) {
    float[][] all = new float[tokens.length][];
    run(file, tokens, tokens.length, (position, logits) -> all[position] = logits.clone());
    return all;
  }
}
