package dev.jacquard.benchmarks;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.NeuronLimits;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronRule.Above;
import dev.jacquard.kernels.NeuronRule.Listed;
import dev.jacquard.kernels.NeuronRule.Magnitude;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.tensor.format.F32;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Times the feed-forward layers of a model for one row, nothing else of it: with all neurons, and
 * with seeded random shares left out by each rule. Each layer reads the same random row. Outputs
 * are compared with the reference backend's before anything is timed; the rules take turns, so that
 * a change of the machine's speed meets all of them.
 */
@Command(
    name = "feed-forward-rules",
    mixinStandardHelpOptions = true,
    description = "Times feed-forward layers that leave neurons out; writes JSON.")
public final class FeedForwardRules implements Callable<Integer> {
  private static final int SEED = 1;

  /** Steps of one rule in a turn; the first ones find the other rules' weights in the caches. */
  private static final int STEPS = 6;

  private static final int UNTIMED = 2;

  /**
   * A rule.
   *
   * @param leftOut share of the neurons
   * @param milliseconds of all layers, median
   * @param times how many times as fast as with all neurons
   * @param bytes share of the bytes of all neurons
   */
  record Row(String rule, double leftOut, double milliseconds, double times, double bytes) {}

  /** The whole result. */
  record Result(Machine machine, String model, int threads, List<Row> rows) {}

  private record Candidate(String name, double leftOut, NeuronRule rule) {}

  @Parameters(description = "The model.")
  private Path model = Path.of("");

  @Option(
      names = {"-t", "--threads"},
      defaultValue = "2",
      description = "Threads that compute (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = {"-s", "--shares"},
      split = ",",
      defaultValue = "0.25,0.5,0.625,0.75,0.8",
      description = "Shares that are left out (default: ${DEFAULT-VALUE}).")
  private List<Double> shares = List.of();

  @Option(
      names = {"-r", "--rounds"},
      defaultValue = "20",
      description = "Turns of each rule (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Mixin private final JsonOutput output = new JsonOutput("feed-forward-rules.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new FeedForwardRules()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    try (GgufFile file = GgufFile.open(model);
        Arena arena = Arena.ofConfined()) {
      Program program = layersOf(StepBenchmark.program(file), arena);
      List<Candidate> candidates = candidates(program);
      List<Row> rows;
      try (Run run = new Run("vector", threads, program)) {
        try (Run reference = new Run("reference", threads, program)) {
          for (Candidate candidate : candidates) {
            Difference.require(
                candidate.name(),
                run.outputs(candidate.rule()),
                reference.outputs(candidate.rule()),
                Difference.SAME_NUMBERS);
          }
        }
        rows = time(run, candidates);
      }
      output.write(
          new Result(Machine.current(), String.valueOf(model.getFileName()), threads, rows));
    }
    return 0;
  }

  /** The feed-forward layers of a program, each reading the one row of an embedding. */
  private static Program layersOf(Program program, Arena arena) {
    List<Op> ops = new ArrayList<>();
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward f) {
        Slot x = new Slot("x", f.in().width(), Domain.ALL);
        if (ops.isEmpty()) {
          int width = x.width();
          ops.add(
              new Op.Embed(
                  RandomTensors.weight("x", F32.INSTANCE, 1, width, arena, SEED),
                  (float) Math.sqrt(width),
                  x));
        }
        ops.add(
            new Op.FeedForward(
                f.layer(),
                x,
                f.gate(),
                f.up(),
                f.down(),
                f.activation(),
                new Slot("hidden", f.neurons(), Domain.ALL),
                new Slot("y" + f.layer(), f.out().width(), Domain.ALL)));
      }
    }
    return new Program(ops, new KvSpec(List.of()), Program.outputs(ops.getLast()).getLast());
  }

  private List<Candidate> candidates(Program program) {
    List<Candidate> candidates = new ArrayList<>();
    candidates.add(new Candidate("dense", 0, NeuronRule.ALL));
    Random random = new Random(SEED);
    for (double share : shares) {
      List<int[]> sets = new ArrayList<>();
      List<float[]> limits = new ArrayList<>();
      for (Op op : program.ops()) {
        if (op instanceof Op.FeedForward f) {
          int[] kept = kept(f.neurons(), share, random);
          float[] limit = new float[f.neurons()];
          Arrays.fill(limit, Float.POSITIVE_INFINITY);
          for (int i : kept) {
            limit[i] = 0;
          }
          sets.add(kept);
          limits.add(limit);
        }
      }
      NeuronLimits above = new NeuronLimits(limits);
      candidates.add(new Candidate("listed", share, new Listed(new NeuronSet(sets))));
      candidates.add(new Candidate("hidden", share, new Above(Magnitude.HIDDEN, above)));
      candidates.add(new Candidate("gate", share, new Above(Magnitude.GATE, above)));
    }
    return candidates;
  }

  private static int[] kept(int neurons, double share, Random random) {
    int[] order = IntStream.range(0, neurons).toArray();
    for (int i = neurons - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    int count = Math.max(1, (int) Math.round(neurons * (1 - share)));
    int[] kept = Arrays.copyOf(order, count);
    Arrays.sort(kept);
    return kept;
  }

  private List<Row> time(Run run, List<Candidate> candidates) {
    int timed = STEPS - UNTIMED;
    double[][] nanoseconds = new double[candidates.size()][rounds * timed];
    for (int round = -2; round < rounds; round++) {
      for (int c = 0; c < candidates.size(); c++) {
        for (int step = 0; step < STEPS; step++) {
          long started = System.nanoTime();
          run.step(candidates.get(c).rule());
          if (round >= 0 && step >= UNTIMED) {
            nanoseconds[c][round * timed + step - UNTIMED] = System.nanoTime() - started;
          }
        }
      }
    }
    double dense = Median.of(nanoseconds[0]);
    List<Row> rows = new ArrayList<>();
    for (int c = 0; c < candidates.size(); c++) {
      Candidate candidate = candidates.get(c);
      run.step(candidate.rule());
      double median = Median.of(nanoseconds[c]);
      rows.add(
          new Row(
              candidate.name(), candidate.leftOut(), median * 1e-6, dense / median, run.bytes()));
      System.err.println(rows.getLast());
    }
    return rows;
  }

  /** The layers on one backend. */
  private static final class Run implements AutoCloseable {
    private final Program program;
    private final Backend backend;
    private final Executable executable;
    private final KvStorage kv;
    private final StepInputs inputs = new StepInputs(1, 0);

    Run(String name, int threads, Program program) {
      this.program = program;
      backend = Backends.open(name, new BackendOptions(threads));
      executable = backend.compile(program, CompileOptions.of(1, 1));
      kv = backend.allocateKv(program.kv(), KvFormat.F32);
    }

    void step(NeuronRule rule) {
      inputs.clear();
      int sequence = inputs.addSequence();
      inputs.setNeurons(sequence, rule);
      inputs.addRow(sequence, 0, 0, false);
      executable.run(inputs, kv, null);
    }

    /** The outputs of all layers. */
    float[] outputs(NeuronRule rule) {
      step(rule);
      List<Op> layers = program.ops().subList(1, program.ops().size());
      int width = program.logits().width();
      float[] outputs = new float[layers.size() * width];
      for (int i = 0; i < layers.size(); i++) {
        executable.read(Program.outputs(layers.get(i)).getLast(), 0, outputs, i * width);
      }
      return outputs;
    }

    /** Bytes of the last step as a share of those of all neurons. */
    double bytes() {
      return executable.feedForward().bytes(0) / (double) executable.feedForward().bytesDense(0);
    }

    @Override
    public void close() {
      kv.close();
      executable.close();
      backend.close();
    }
  }
}
