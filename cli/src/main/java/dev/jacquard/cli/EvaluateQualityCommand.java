package dev.jacquard.cli;

import dev.jacquard.evaluation.KlBase;
import dev.jacquard.evaluation.KlBaseWriter;
import dev.jacquard.evaluation.Quality;
import dev.jacquard.evaluation.attention.CodeTask;
import dev.jacquard.evaluation.attention.TaskRun;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.session.Session.LogitsConsumer;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/** {@code evaluate quality}: what each way of making a token cheaper costs in quality. */
@Command(
    name = "quality",
    description = {
      "Compares cheaper variants of a model with the model itself: perplexity, Kullback-Leibler"
          + " divergence, how often both prefer the same token, tasks, and bytes per token.",
      "The text is cut into windows, each is read from an empty context, and its second half is"
          + " scored. Where a variant reads less of the cache, these tokens are decoded one by"
          + " one.",
      "A variant is a text of NAME=VALUE, with blanks: model=FILE (default: the model itself),"
          + " attention=CLASS as --attention takes it, ffn=CLASS as --ffn does."
    },
    footer = {
      "  jacquard evaluate quality -m m.F16.gguf --variant model=m.Q4_K_M.gguf --variant"
          + " model=m.Q4_0.gguf src",
      "  jacquard evaluate quality -m m.gguf -c 8192 --variant attention=budgeted:0.8 --html q.html"
          + " src"
    })
final class EvaluateQualityCommand implements Callable<Integer> {
  private static final int CHARACTERS_PER_TOKEN = 8;
  private static final int LEAST_WINDOW = 16;

  private final Terminal terminal;

  @Parameters(
      paramLabel = "DIR or FILE",
      arity = "1..*",
      description = "The text, in UTF-8: program sources, say.")
  private List<Path> paths = new ArrayList<>();

  @Option(
      names = "--variant",
      paramLabel = "VARIANT",
      converter = QualityVariant.Parser.class,
      description = "What is compared with the model; may be given several times.")
  private List<QualityVariant> variants = new ArrayList<>();

  @Option(
      names = "--windows",
      paramLabel = "N",
      defaultValue = "16",
      converter = Numbers.Positive.class,
      description = "Most windows of the text, of the size that -c says (default: 512 tokens).")
  private int windows;

  @Option(
      names = "--base",
      paramLabel = "FILE",
      description =
          "Keep what the model says in this file, or take it from there if the file exists; the"
              + " form is that of llama-perplexity --kl-divergence-base.")
  private @Nullable Path base;

  @Option(
      names = "--tasks",
      paramLabel = "NAME[,NAME...]",
      split = ",",
      converter = TaskName.class,
      description =
          "Also ask questions: needle, multi-key, multi-value, distractors, chain, last-assignment,"
              + " frequent-identifier, import.")
  private List<CodeTask> tasks = List.of();

  @Option(
      names = "--task-tokens",
      paramLabel = "N",
      defaultValue = "2048",
      converter = Numbers.Positive.class,
      description = "Length of the prompts of tasks (default: ${DEFAULT-VALUE}).")
  private int taskTokens;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      defaultValue = "2",
      converter = Numbers.Positive.class,
      description = "Questions of a task at each of five depths (default: ${DEFAULT-VALUE}).")
  private int seeds;

  @Option(names = "--json", paramLabel = "FILE", description = "Write all numbers as JSON.")
  private @Nullable Path json;

  @Option(names = "--html", paramLabel = "FILE", description = "Write one page with plots.")
  private @Nullable Path html;

  @Mixin private final RunFlags run = new RunFlags();

  EvaluateQualityCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  /** The task of a name. */
  static final class TaskName implements ITypeConverter<CodeTask> {
    @Override
    public CodeTask convert(String name) {
      return CodeTask.named(name)
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "there is no task '%s': %s".formatted(name, CodeTask.names())));
    }
  }

  @Override
  public Integer call() throws IOException {
    int window = run.context() == 0 ? 512 : run.context();
    if (window < LEAST_WINDOW) {
      throw new InputException("-c must be at least " + LEAST_WINDOW + ", not " + window);
    }
    long wanted = Math.max((long) windows * window, tasks.isEmpty() ? 0 : taskTokens);
    int characters = (int) Math.min(Integer.MAX_VALUE / 2, wanted * CHARACTERS_PER_TOKEN);
    String text = TextFolder.read(paths, characters, terminal);
    Path file = base != null ? base : Files.createTempFile("jacquard", ".klbase");
    try {
      List<QualityResult> results = new ArrayList<>();
      QualityVariant self = QualityVariant.SELF;
      if (base == null || !Files.exists(file)) {
        write(file, text, window);
      }
      results.add(measure(self, file, text));
      for (QualityVariant variant : variants) {
        results.add(measure(variant, file, text));
      }
      terminal.clearStatus();
      report(QualityResult.withFront(results), window);
    } finally {
      if (base == null) {
        Files.deleteIfExists(file);
      }
    }
    return ExitCode.OK;
  }

  private void report(List<QualityResult> results, int window) throws IOException {
    terminal.print(QualityReport.text(results));
    if (json != null) {
      Files.writeString(
          json,
          Json.write(
                  new QualityReport.Document(
                      String.valueOf(run.modelPath().getFileName()), window, results))
              + "\n");
      terminal.note(json + ": written");
    }
    if (html != null) {
      Files.writeString(
          html, QualityReport.page(String.valueOf(run.modelPath().getFileName()), results));
      terminal.note(html + ": written");
    }
  }

  /** Runs the model itself and writes what it says. */
  private void write(Path file, String text, int window) throws IOException {
    try (Model model = run.open(terminal, context(window));
        Session session = model.newSession()) {
      int[] ids = model.tokenizer().encode(text, Tokenizer.Options.DEFAULT);
      int count = Math.min(windows, ids.length / window);
      if (count == 0) {
        throw new InputException(
            "the text has %d tokens and fills no window of %d: name more of it, or a smaller -c"
                .formatted(ids.length, window));
      }
      List<int[]> cut =
          IntStream.range(0, count)
              .mapToObj(w -> Arrays.copyOfRange(ids, w * window, (w + 1) * window))
              .toList();
      try (KlBaseWriter writer = new KlBaseWriter(file, cut, model.vocabulary())) {
        for (int w = 0; w < count; w++) {
          progress("the model itself", (double) w / count);
          int[] tokens = begun(cut.get(w), model);
          session.rewind(0);
          session.evaluate(
              Arrays.copyOf(tokens, window - 1),
              window - 1 - window / 2,
              (position, logits) -> append(writer, logits));
        }
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
    }
  }

  private static void append(KlBaseWriter writer, float[] logits) {
    try {
      writer.append(logits);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A window that begins as every text does. */
  private static int[] begun(int[] window, Model model) {
    int[] own = window.clone();
    int[] lead = model.lead();
    System.arraycopy(lead, 0, own, 0, lead.length);
    return own;
  }

  private int context(int window) {
    return Math.max(window, tasks.isEmpty() ? 0 : taskTokens);
  }

  private QualityResult measure(QualityVariant variant, Path file, String text) throws IOException {
    try (KlBase kl = KlBase.open(file);
        Model model = open(variant, context(kl.window()));
        VariantSession session =
            new VariantSession(model, variant.attention(), variant.feedForward())) {
      if (kl.vocabulary() != model.vocabulary()) {
        throw new InputException(
            "%s is of a model of %d tokens, and %s has %d: name another file with --base"
                .formatted(file, kl.vocabulary(), variant.name(), model.vocabulary()));
      }
      QualityCost cost = new QualityCost(model, kl.window(), variant.feedForward());
      Quality quality =
          Quality.measure(
              kl,
              (window, consumer) -> run(session, variant, begun(window, model), consumer, cost),
              done -> progress(variant.name(), (double) done / kl.windows()));
      List<TaskRun.Score> scores = new ArrayList<>();
      int[] sources = model.tokenizer().encode(text, Tokenizer.Options.DEFAULT);
      for (CodeTask task : tasks) {
        progress(variant.name() + ", " + task.label(), 0);
        scores.add(
            TaskRun.ask(
                task, sources, taskTokens, seeds, model.tokenizer(), reader(session, model)));
      }
      return new QualityResult(
          variant.name(), model.file().bytes(), cost.bytesPerToken(), quality, scores, false);
    }
  }

  private Model open(QualityVariant variant, int context) {
    return run.open(terminal, variant.model(), context, variant.attention());
  }

  /** Scores the second half of a window. */
  private static void run(
      VariantSession session,
      QualityVariant variant,
      int[] window,
      LogitsConsumer consumer,
      QualityCost cost) {
    int half = window.length / 2;
    if (variant.dense()) {
      session.readAll(Arrays.copyOf(window, window.length - 1), window.length - 1 - half, consumer);
      return;
    }
    session.read(Arrays.copyOf(window, half));
    for (int i = half; i < window.length - 1; i++) {
      cost.add(session.decode(window[i], consumer));
    }
  }

  private TaskRun.Reader reader(VariantSession session, Model model) {
    float[] last = new float[model.vocabulary()];
    return new TaskRun.Reader() {
      @Override
      public void read(int[] tokens) {
        terminal.interruption().check();
        session.read(tokens);
      }

      @Override
      public float[] decode(int token) {
        session.decode(token, (_, logits) -> System.arraycopy(logits, 0, last, 0, last.length));
        return last;
      }
    };
  }

  private void progress(String what, double share) {
    terminal.interruption().check();
    terminal.status(Terminal.bar(share) + " " + what);
  }
}
