package dev.jacquard.benchmarks;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.sampling.KnownLogits;
import dev.jacquard.sampling.Sampler;
import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.sampling.Wanted;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Decodes tokens after pieces of source code with the output head computed in different ways: every
 * token by every way, in turn, from the same state, so that what else the machine does hits all
 * alike. A token is what a user waits for: the whole step, and choosing from its logits. The tokens
 * of a way are compared with those of all logits.
 */
@Command(
    name = "decode-head",
    mixinStandardHelpOptions = true,
    description = "Times decoded tokens by what the output head computes; writes JSON.")
public final class DecodeHead implements Callable<Integer> {
  private static final int CHUNK = 128;

  /** A way, and how its tokens are chosen. */
  private record Way(String name, HeadRule rule, SamplingSettings settings, float within) {
    static Way dense(String name, SamplingSettings settings) {
      return new Way(name, HeadRule.DENSE, settings, 0);
    }

    static Way certified(String name, SamplingSettings settings) {
      Wanted wanted = Wanted.of(settings).orElseThrow();
      HeadRule rule = new HeadRule.Certified(wanted.best(), wanted.within());
      return new Way(name, rule, settings, wanted.within());
    }
  }

  private static final List<Way> WAYS =
      List.of(
          Way.dense("dense, greedy", SamplingSettings.GREEDY),
          Way.certified("certified, greedy", SamplingSettings.GREEDY),
          new Way(
              "sixsigma, greedy",
              new HeadRule.Estimated(1, 6),
              SamplingSettings.GREEDY,
              Float.POSITIVE_INFINITY),
          Way.dense("dense, default sampling", SamplingSettings.DEFAULT),
          Way.certified("certified, default sampling", SamplingSettings.DEFAULT));

  /**
   * What one way took.
   *
   * @param name of the way
   * @param milliseconds per token, median
   * @param timesDense median of the ratio to the same token by all logits
   * @param different tokens that all logits did not choose
   * @param candidates logits computed, mean
   * @param candidatesP95 of 95 % of the tokens no more were computed
   * @param bytesShare bytes of the matrix, as a share of all
   * @param denseRows tokens for which all logits were computed in the end
   * @param undecided those of them for which candidates did not decide
   */
  record Row(
      String name,
      double milliseconds,
      double timesDense,
      int different,
      double candidates,
      int candidatesP95,
      double bytesShare,
      int denseRows,
      int undecided) {}

  /** The whole result. */
  record Result(
      Machine machine, String model, int vocabulary, int threads, int tokens, List<Row> rows) {}

  @Parameters(description = "The model.")
  private Path model = Path.of("");

  @Option(
      names = {"-t", "--threads"},
      description = "Threads (default: ${DEFAULT-VALUE}).",
      defaultValue = "2")
  private int threads;

  @Option(
      names = {"-p", "--prompts"},
      description = "Pieces of source code that are continued (default: ${DEFAULT-VALUE}).",
      defaultValue = "10")
  private int prompts;

  @Option(
      names = "--prompt-tokens",
      description = "Tokens of such a piece (default: ${DEFAULT-VALUE}).",
      defaultValue = "256")
  private int promptTokens;

  @Option(
      names = {"-n", "--tokens"},
      description = "Tokens decoded after each (default: ${DEFAULT-VALUE}).",
      defaultValue = "100")
  private int tokens;

  @Mixin private final JsonOutput output = new JsonOutput("output-head.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new DecodeHead()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    try (GgufFile file = GgufFile.open(model)) {
      Program program = StepBenchmark.program(file);
      Tokenizer tokenizer = Tokenizers.of(file.metadata());
      int stride = 4096;
      String text = BenchmarkModel.sourceText((prompts + 1) * 8 * stride);
      List<Samples> samples = WAYS.stream().map(way -> new Samples(way, program)).toList();
      try (ProgramRun run =
          new ProgramRun("vector", threads, program, KvFormat.F16, CompileOptions.of(CHUNK, 1))) {
        for (int prompt = 0; prompt < prompts; prompt++) {
          String piece = text.substring(prompt * 8 * stride + stride, (prompt + 1) * 8 * stride);
          int[] ids = tokenizer.encode(piece, Tokenizer.Options.DEFAULT);
          decode(run, Arrays.copyOf(ids, promptTokens), samples);
        }
      }
      Samples dense = samples.getFirst();
      output.write(
          new Result(
              Machine.current(),
              String.valueOf(model.getFileName()),
              program.logits().width(),
              threads,
              dense.count,
              samples.stream().map(s -> s.row(dense(s, samples))).toList()));
    }
    return 0;
  }

  /** The samples by all logits of the same settings. */
  private static Samples dense(Samples of, List<Samples> samples) {
    return samples.stream()
        .filter(s -> s.way.settings().equals(of.way.settings()))
        .findFirst()
        .orElseThrow();
  }

  private void decode(ProgramRun run, int[] prompt, List<Samples> samples) {
    run.rewind(0);
    int[] ids = Arrays.copyOf(prompt, promptTokens + tokens);
    for (int from = 0; from < promptTokens - 1; from += CHUNK) {
      run.step(ids, from, Math.min(promptTokens - 1, from + CHUNK), 0);
    }
    for (int at = promptTokens - 1; at < ids.length - 1; at++) {
      for (Samples way : samples) {
        way.decode(run, ids, at, dense(way, samples));
        run.rewind(at);
      }
      run.step(ids, at, at + 1, 0);
      ids[at + 1] = samples.getFirst().chosen;
    }
  }

  /** What the head computed, as the sampler reads it. */
  private record Known(HeadReport.Row row) implements KnownLogits {
    @Override
    public int count() {
      return row.count();
    }

    @Override
    public int token(int i) {
      return row.candidate(i);
    }

    @Override
    public float logit(int i) {
      return row.logit(i);
    }
  }

  /** What the tokens of one way took. */
  private static final class Samples {
    private final Way way;
    private final Sampler sampler;
    private final List<Double> milliseconds = new ArrayList<>();
    private final List<Integer> candidates = new ArrayList<>();
    private int count;
    private int chosen;
    private int different;
    private int dense;
    private int undecided;
    private long bytes;
    private long bytesDense;

    Samples(Way way, Program program) {
      this.way = way;
      sampler = new Sampler(way.settings(), program.logits().width());
    }

    void decode(ProgramRun run, int[] ids, int at, Samples all) {
      long started = System.nanoTime();
      run.step(ids, at, at + 1, way.rule());
      HeadReport.Row row = run.head();
      boolean some = !row.dense();
      chosen = some ? sampler.sample(new Known(row), way.within(), 0, at) : Sampler.UNDECIDED;
      if (chosen == Sampler.UNDECIDED) {
        if (some) {
          run.completeHead();
          undecided++;
        }
        chosen = sampler.sample(run.logits(0), ids, at + 1, 0, at);
      }
      milliseconds.add((System.nanoTime() - started) * 1e-6);
      count++;
      different += chosen == all.chosen ? 0 : 1;
      dense += row.dense() ? 1 : 0;
      candidates.add(row.count());
      bytes += row.bytes();
      bytesDense += row.bytesDense();
    }

    Row row(Samples all) {
      double[] times = milliseconds.stream().mapToDouble(x -> x).toArray();
      double[] ratios = new double[count];
      for (int i = 0; i < count; i++) {
        ratios[i] = all.milliseconds.get(i) / times[i];
      }
      int[] sorted = candidates.stream().mapToInt(x -> x).sorted().toArray();
      Row row =
          new Row(
              way.name(),
              Median.of(times),
              Median.of(ratios),
              different,
              Arrays.stream(sorted).average().orElse(0),
              sorted[count * 95 / 100],
              (double) bytes / bytesDense,
              dense,
              undecided);
      System.err.println(row);
      return row;
    }
  }
}
