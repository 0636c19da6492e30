package dev.jacquard.cli;

import dev.jacquard.evaluation.Perplexity;
import dev.jacquard.pruning.Compensation;
import dev.jacquard.pruning.NeuronScore;
import dev.jacquard.pruning.Pruner;
import dev.jacquard.pruning.PruningReport;
import dev.jacquard.pruning.PruningSettings;
import dev.jacquard.session.Jacquard;
import dev.jacquard.session.Model;
import dev.jacquard.session.ModelOptions;
import dev.jacquard.session.Session;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code prune}: removes neurons of feed-forward layers for good. */
@Command(
    name = "prune",
    description = {
      "Removes the neurons of feed-forward layers that count least on a text, and writes a smaller"
          + " GGUF file.",
      "Seven eighths of the text decide what is removed; on the last eighth the perplexity of both"
          + " models is measured. Models below a billion numbers lose more than they gain: for"
          + " these the file is only kept with --force."
    },
    footer =
        "  jacquard prune model.F16.gguf --share 0.15 --calibrate ~/src/project -o pruned.gguf")
final class PruneCommand implements Callable<Integer> {
  /** More characters than any tokenizer makes one token of, on average. */
  private static final int CHARS_PER_TOKEN = 8;

  /** Of the text that many parts are there, and one is held out. */
  private static final int PARTS = 8;

  private static final int LEAST_BLOCK = 32;
  private static final int WINDOW = 512;
  private static final long SMALL = 1_000_000_000L;

  /**
   * The JSON document.
   *
   * @param written whether the file was kept
   */
  record Document(
      String model,
      String file,
      boolean written,
      long parameters,
      double share,
      String score,
      String compensation,
      int calibrationTokens,
      int scoredTokens,
      double perplexityBefore,
      double perplexityAfter,
      double perplexityFactor,
      long bytesBefore,
      long bytesAfter,
      long feedForwardBytesBefore,
      long feedForwardBytesAfter,
      boolean bias,
      List<PruningReport.Layer> layers) {}

  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "MODEL", description = "GGUF model.")
  private Path model = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      required = true,
      description = "The file to write.")
  private Path out = Path.of("");

  @Option(
      names = "--calibrate",
      paramLabel = "DIR or FILE",
      required = true,
      arity = "1..*",
      description = "The text, in UTF-8.")
  private List<Path> texts = new ArrayList<>();

  @Option(
      names = "--share",
      paramLabel = "SHARE",
      defaultValue = "0.15",
      description = "Share of the neurons to remove (default: ${DEFAULT-VALUE}).")
  private double share;

  @Option(
      names = "--score",
      paramLabel = "SCORE",
      defaultValue = "residual",
      description =
          "What counts: residual (what the others cannot take over), flap (variance), activation"
              + " (mean magnitude), random (a control) (default: ${DEFAULT-VALUE}).")
  private NeuronScore score = NeuronScore.RESIDUAL;

  @Option(
      names = "--compensate",
      paramLabel = "HOW",
      defaultValue = "full",
      description =
          "What the other neurons do for those removed: full (least squares), mean (only a bias),"
              + " none (default: ${DEFAULT-VALUE}).")
  private Compensation compensation = Compensation.FULL;

  @Option(
      names = "--per-layer",
      description =
          "Let each layer lose as many as the scores say. Few programs load such files; llama.cpp"
              + " does not, for llama and gemma3.")
  private boolean perLayer;

  @Option(
      names = "--block",
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description =
          "Let layers keep a multiple of N neurons, a multiple of 32 (default: the block of W_down's"
              + " number format; with less, K formats become Q5_0 or Q8_0).")
  private int block;

  @Option(
      names = {"-n", "--tokens"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "32768",
      description = "Tokens of the text to read (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @Option(names = "--seed", defaultValue = "1", description = "Seed of --score random.")
  private long seed;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      converter = Numbers.Threads.class,
      description = "Threads that compute (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--force", description = "Keep the file also of a small model.")
  private boolean force;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  PruneCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    if (!(share > 0 && share < 1)) {
      throw new ParameterException(
          spec.commandLine(), "--share must be above 0 and below 1, not " + share);
    }
    if (block % LEAST_BLOCK != 0) {
      throw new ParameterException(
          spec.commandLine(), "--block must be a multiple of " + LEAST_BLOCK + ", not " + block);
    }
    if (Files.exists(out) && Files.isSameFile(out, model)) {
      throw new ParameterException(
          spec.commandLine(), "-o names the model itself: name another file");
    }
    PruningSettings settings =
        new PruningSettings(share, score, compensation, perLayer, block, seed);
    String text = TextFolder.read(texts, Math.multiplyExact(tokens, CHARS_PER_TOKEN), terminal);
    Path tried = out.resolveSibling(out.getFileName() + ".trial");
    try {
      Document document = prune(text, settings, tried);
      if (document.written) {
        Files.move(tried, out, StandardCopyOption.REPLACE_EXISTING);
      }
      terminal.print(json ? Json.write(document) + "\n" : text(document));
      if (!document.written) {
        throw new InputException(
            "the file was not kept: a model of %s million numbers loses more by pruning (perplexity"
                    .formatted(document.parameters / 1_000_000)
                + " × %s for %s %% of the bytes) than by a smaller number format; --force keeps it"
                    .formatted(
                        Format.decimals(document.perplexityFactor, 3),
                        Format.decimals(100.0 * document.bytesAfter / document.bytesBefore, 1)));
      }
    } finally {
      Files.deleteIfExists(tried);
    }
    return ExitCode.OK;
  }

  private Document prune(String text, PruningSettings settings, Path tried) throws IOException {
    int[] ids;
    int[] lead;
    Perplexity before;
    int used;
    try (Model original = open(model)) {
      ids = original.tokenizer().encode(text, Tokenizer.Options.PLAIN);
      lead = original.tokenizer().encode("", Tokenizer.Options.DEFAULT);
      used = Math.min(ids.length, tokens) / PARTS * (PARTS - 1);
      int[] heldOut = Arrays.copyOfRange(ids, used, Math.min(ids.length, tokens));
      if (heldOut.length < WINDOW) {
        throw new InputException(
            "the text has %d tokens; %d are needed at least: name more of it"
                .formatted(ids.length, PARTS * WINDOW));
      }
      before = perplexity(original, heldOut, "the model");
    }
    PruningReport report;
    long parameters;
    try (Pruner pruner = Pruner.open(model, threads, share -> status("preparing weights", share))) {
      parameters = pruner.parameters();
      report =
          pruner.prune(
              Arrays.copyOf(ids, used), lead, settings, tried, share -> status("pruning", share));
    }
    Perplexity after;
    try (Model pruned = open(tried)) {
      after =
          perplexity(
              pruned, Arrays.copyOfRange(ids, used, Math.min(ids.length, tokens)), "what remains");
    }
    terminal.clearStatus();
    return new Document(
        model.toString(),
        out.toString(),
        force || parameters >= SMALL,
        parameters,
        share,
        score.toString(),
        compensation.toString(),
        used,
        after.tokens(),
        before.perplexity(),
        after.perplexity(),
        after.perplexity() / before.perplexity(),
        report.bytesBefore(),
        report.bytesAfter(),
        report.feedForwardBefore(),
        report.feedForwardAfter(),
        report.bias(),
        report.layers());
  }

  private Model open(Path file) {
    return Jacquard.open(
        file,
        ModelOptions.DEFAULT
            .withThreads(threads)
            .withContext(WINDOW)
            .withProgress(share -> status("preparing weights", share)));
  }

  private Perplexity perplexity(Model measured, int[] heldOut, String what) {
    int[] begin = measured.tokenizer().encode("", Tokenizer.Options.DEFAULT);
    try (Session session = measured.newSession()) {
      return Perplexity.measure(
          heldOut,
          WINDOW,
          begin.length == 0 ? -1 : begin[0],
          (window, outputs, logits) -> {
            session.rewind(0);
            session.evaluate(window, outputs, logits);
          },
          (done, total, perplexity) -> status("perplexity of " + what, (double) done / total));
    }
  }

  private void status(String what, double share) {
    terminal.interruption().check();
    terminal.status(what + " " + Terminal.bar(share));
  }

  private static String text(Document d) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("layer", "neurons", "kept", "W_down", "rounding"));
    for (PruningReport.Layer layer : d.layers) {
      rows.add(
          List.of(
              String.valueOf(layer.layer()),
              String.valueOf(layer.before()),
              String.valueOf(layer.after()),
              layer.down(),
              String.format(Locale.ROOT, "%.1e", layer.rounding())));
    }
    return Format.table("rrrlr", rows)
        + "%s score on %d tokens, compensation %s%s%n"
            .formatted(d.score, d.calibrationTokens, d.compensation, d.bias ? " with a bias" : "")
        + "bytes      %,d -> %,d (%s %%), feed-forward %s %%%n"
            .formatted(
                d.bytesBefore,
                d.bytesAfter,
                Format.decimals(100.0 * d.bytesAfter / d.bytesBefore, 1),
                Format.decimals(100.0 * d.feedForwardBytesAfter / d.feedForwardBytesBefore, 1))
        + "perplexity %s -> %s (× %s) on %d other tokens%n"
            .formatted(
                Format.decimals(d.perplexityBefore, 4),
                Format.decimals(d.perplexityAfter, 4),
                Format.decimals(d.perplexityFactor, 4),
                d.scoredTokens)
        + (d.written ? "written to " + d.file + System.lineSeparator() : "");
  }
}
