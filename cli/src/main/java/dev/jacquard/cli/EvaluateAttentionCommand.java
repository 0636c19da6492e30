package dev.jacquard.cli;

import dev.jacquard.calibration.CalibrationText;
import dev.jacquard.evaluation.attention.AttentionLab;
import dev.jacquard.evaluation.attention.AttentionMethod;
import dev.jacquard.evaluation.attention.AttentionQuality;
import dev.jacquard.evaluation.attention.AttentionResults;
import dev.jacquard.evaluation.attention.AttentionTasks;
import dev.jacquard.evaluation.attention.CodeTask;
import dev.jacquard.evaluation.attention.TraceRecorder;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code evaluate attention}: what attention that reads less costs in quality. */
@Command(
    name = "attention",
    description = {
      "Measures what attention that reads less costs in quality, on a model and program sources.",
      "The text is read densely; then its last tokens are decoded one by one with each method over"
          + " the same cache, and the logits are compared with those of dense attention. Questions"
          + " in the clothes of code (a needle, chains of assignments, imports) are asked as well.",
      "Lengths of 16K and more need a larger heap: JACQUARD_JAVA_OPTS=-Xmx4g."
    },
    footer = {
      "  jacquard evaluate attention --html attention.html",
      "  jacquard evaluate attention -m gemma.gguf --lengths 8192,16384 --tasks none src"
    })
final class EvaluateAttentionCommand implements Callable<Integer> {
  private static final int[] USUAL_LENGTHS = {4096, 8192, 16384, 32768};
  private static final int CHARACTERS_PER_TOKEN = 8;
  private static final List<Double> DEPTHS = List.of(0.1, 0.3, 0.5, 0.7, 0.9);

  /** Lines that different sources have in common, as licences and imports. */
  private static final double NEGLIGIBLE = 0.01;

  private final Terminal terminal;

  /** Share of the text's lines that are in the bundled calibration text. */
  private double seen;

  @Parameters(
      arity = "0..1",
      paramLabel = "DIR",
      defaultValue = ".",
      description = "Folder of program sources (default: the current one).")
  private Path folder = Path.of(".");

  @Option(
      names = "--lengths",
      split = ",",
      paramLabel = "N",
      converter = Numbers.Positive.class,
      description =
          "Lengths of text in tokens, with commas (default: 4096 to 32768 as far as the model's"
              + " context goes, or half and all of a smaller one).")
  private List<Integer> lengths = List.of();

  @Option(
      names = "--last",
      paramLabel = "N",
      defaultValue = "64",
      converter = Numbers.Positive.class,
      description = "How many tokens are decoded one by one (default: ${DEFAULT-VALUE}).")
  private int last;

  @Option(
      names = "--methods",
      split = " ",
      paramLabel = "NAME",
      defaultValue =
          "certified:0.01 verified:0.05,0.05 budgeted:0.7 budgeted:0.8 budgeted:0.9"
              + " window quest means random oracle",
      description =
          "Classes as --attention takes them and baselines, with blanks (default:"
              + " ${DEFAULT-VALUE}). Baselines read as many bytes as each budgeted class. Classes"
              + " act on texts of any length here.")
  private List<String> methods = List.of();

  @Option(
      names = "--prompts",
      split = ",",
      paramLabel = "COVERAGE",
      description =
          "Coverages with which BUDGETED reads prompts (beyond position 8192): each reads the text"
              + " anew, what follows is dense.")
  private List<Double> prompts = List.of();

  @Option(
      names = "--shares",
      split = ",",
      paramLabel = "SHARE",
      description = "Further shares of the dense bytes that baselines are measured at.")
  private List<Double> shares = List.of();

  @Option(
      names = "--tasks",
      split = ",",
      paramLabel = "NAME",
      defaultValue = "all",
      description =
          "Tasks: all, none, or some of needle, multi-key, multi-value, distractors, chain,"
              + " last-assignment, frequent-identifier, import (default: ${DEFAULT-VALUE}).")
  private List<String> tasks = List.of();

  @Option(
      names = "--task-lengths",
      split = ",",
      paramLabel = "N",
      converter = Numbers.Positive.class,
      description = "Lengths of the prompts of tasks (default: the shortest of --lengths).")
  private List<Integer> taskLengths = List.of();

  @Option(
      names = "--seeds",
      paramLabel = "N",
      defaultValue = "2",
      converter = Numbers.Positive.class,
      description = "Questions of a task at each of five depths (default: ${DEFAULT-VALUE}).")
  private int seeds;

  @Option(
      names = "--greedy",
      paramLabel = "N",
      defaultValue = "64",
      converter = Numbers.NotNegative.class,
      description =
          "Length of the greedy continuation by which classes are compared (default:"
              + " ${DEFAULT-VALUE}).")
  private int greedy;

  @Option(
      names = "--examine-every",
      paramLabel = "N",
      defaultValue = "4",
      converter = Numbers.Positive.class,
      description =
          "Of how many steps one is compared head by head with exact attention (default:"
              + " ${DEFAULT-VALUE}).")
  private int examineEvery;

  @Option(names = "--json", paramLabel = "FILE", description = "Write all numbers as JSON.")
  private @Nullable Path json;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Write one page with tables and plots.")
  private @Nullable Path html;

  @Option(
      names = "--record",
      paramLabel = "FILE",
      description =
          "Only record queries of the last tokens, keys and values of the longest text, for"
              + " benchmarks.")
  private @Nullable Path record;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      converter = Numbers.Threads.class,
      description = "Threads that compute (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Mixin private final ModelFlag model = new ModelFlag();
  @Mixin private final BackendFlag backend = new BackendFlag();

  EvaluateAttentionCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    AttentionMethods wanted = AttentionMethods.parse(methods);
    for (double coverage : prompts) {
      if (!(coverage > 0 && coverage < 1)) {
        throw new InputException(
            "a coverage of prompts is above 0 and below 1, not " + coverage + " (--prompts)");
      }
    }
    List<CodeTask> questions = tasks();
    terminal.status("opening " + model.path().getFileName());
    try (AttentionLab lab =
        AttentionLab.open(
            model.path(),
            backend.name(),
            threads,
            512,
            record == null ? KvFormat.Q8 : KvFormat.F16,
            share -> terminal.status("preparing weights " + Terminal.bar(share)))) {
      int[] sizes = sizes(lab);
      lab.sketch(share -> progress("calibrating", share));
      int longest = sizes[sizes.length - 1];
      requireHeap(lab, longest);
      int[] text = text(lab, longest);
      if (record != null) {
        TraceRecorder.record(lab, text, longest, last, record, this::progress);
        terminal.clearStatus();
        terminal.note(record + ": " + longest + " tokens, queries of the last " + last);
        return ExitCode.OK;
      }
      AttentionResults results = measure(lab, wanted, questions, sizes, text);
      terminal.clearStatus();
      write(results);
    }
    return ExitCode.OK;
  }

  private AttentionResults measure(
      AttentionLab lab,
      AttentionMethods wanted,
      List<CodeTask> questions,
      int[] sizes,
      int[] text) {
    var quality =
        new AttentionQuality(
            lab,
            new AttentionQuality.Settings(
                last, wanted.classes(), prompts, wanted.baselines(), shares, examineEvery, greedy),
            this::progress);
    List<AttentionResults.OfLength> lengthResults = quality.measure(text, sizes);
    List<AttentionMethod> asked = new ArrayList<>();
    wanted.classes().forEach(c -> asked.add(new AttentionMethod.OfClass(c)));
    prompts.forEach(coverage -> asked.add(new AttentionMethod.OfPrompt(coverage)));
    var asker =
        new AttentionTasks(
            lab, new AttentionTasks.Settings(questions, asked, DEPTHS, seeds), this::progress);
    List<AttentionResults.OfTask> taskResults = new ArrayList<>();
    for (int tokens : taskLengths.isEmpty() ? List.of(sizes[0]) : taskLengths) {
      taskResults.addAll(asker.ask(text, tokens));
    }
    return new AttentionResults(
        String.valueOf(model.path().getFileName()),
        lab.backendDescription(),
        lab.sketched(),
        lab.basisText(),
        seen,
        lengthResults,
        taskResults);
  }

  private void progress(String what, double share) {
    terminal.interruption().check();
    terminal.status(Terminal.bar(share) + " " + what);
  }

  private int[] sizes(AttentionLab lab) {
    int context = lab.context();
    int[] sizes =
        lengths.isEmpty()
            ? Arrays.stream(USUAL_LENGTHS).filter(n -> n <= context).toArray()
            : lengths.stream().mapToInt(n -> n).sorted().distinct().toArray();
    if (sizes.length == 0) {
      sizes = new int[] {context / 2, context};
    }
    IntStream.concat(Arrays.stream(sizes), taskLengths.stream().mapToInt(n -> n))
        .forEach(
            n -> {
              if (n <= last || n > context) {
                throw new InputException(
                    "a length of %d: it must be above --last (%d) and within the model's context (%d)"
                        .formatted(n, last, context));
              }
            });
    return sizes;
  }

  private void requireHeap(AttentionLab lab, int longest) {
    long needed = AttentionQuality.heapBytes(lab, longest, last);
    long most = Runtime.getRuntime().maxMemory();
    if (needed > most * 3 / 4) {
      throw new InputException(
          "%d tokens need %s of heap, %s are allowed: set JACQUARD_JAVA_OPTS=-Xmx%dm, or give less"
                  .formatted(
                      longest,
                      Format.bytes(needed),
                      Format.bytes(most),
                      ((needed * 3 / 2) >> 20) + 128)
              + " --lengths or --last");
    }
  }

  private int[] text(AttentionLab lab, int longest) throws IOException {
    String text = SourceText.read(folder, longest * CHARACTERS_PER_TOKEN);
    seen = CalibrationText.shareOf(text);
    if (seen > NEGLIGIBLE && lab.basisText().equals(CalibrationText.SOURCE)) {
      terminal.note(
          "%s %% of the lines of this text are in the text that the sketches' bases were made from:"
                  .formatted(percent(seen))
              + " not held out; name other sources, or calibrate on another text first");
    }
    int[] ids = lab.tokenizer().encode(text, Tokenizer.Options.DEFAULT);
    if (ids.length < longest) {
      throw new InputException(
          "%s: the sources have %d tokens, %d are needed: name a larger folder, or smaller --lengths"
              .formatted(folder, ids.length, longest));
    }
    return Arrays.copyOf(ids, Math.min(ids.length, longest + 1));
  }

  private List<CodeTask> tasks() {
    if (tasks.equals(List.of("all"))) {
      return List.of(CodeTask.values());
    }
    if (tasks.equals(List.of("none"))) {
      return List.of();
    }
    return tasks.stream().map(EvaluateAttentionCommand::task).toList();
  }

  private static CodeTask task(String name) {
    return CodeTask.named(name)
        .orElseThrow(
            () ->
                new InputException(
                    "there is no task '%s'; there are all, none and %s"
                        .formatted(name, CodeTask.names())));
  }

  private void write(AttentionResults results) throws IOException {
    if (json != null) {
      Files.writeString(json, Json.write(results) + "\n");
    }
    if (html != null) {
      Files.writeString(html, AttentionPage.of(results));
    }
    for (AttentionResults.OfLength length : results.lengths()) {
      terminal.println(length.tokens() + " tokens, the last " + length.positions() + " decoded");
      terminal.print(methodTable(length));
    }
    for (AttentionResults.OfTask task : results.tasks()) {
      terminal.println(
          "%s, %d tokens, %d questions, chance %s %%%s"
              .formatted(
                  task.task(),
                  task.tokens(),
                  task.cases(),
                  percent(task.chance()),
                  task.counts() ? "" : " (dense attention cannot do it on this model)"));
      terminal.print(taskTable(task));
    }
  }

  private static String methodTable(AttentionResults.OfLength length) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("method", "bytes %", "mean KL", "95 % KL", "top-1 %", "perplexity", "mass %"));
    for (AttentionResults.OfMethod m : length.methods()) {
      rows.add(
          List.of(
              m.method(),
              percent(m.bytes()),
              scientific(m.klMean()),
              scientific(m.kl95()),
              percent(m.top1()),
              Format.decimals(m.perplexity(), 3),
              percent(m.massRecall())));
    }
    return Format.table("lrrrrrr", rows);
  }

  private static String taskTable(AttentionResults.OfTask task) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("method", "chosen %", "word for word %"));
    for (AttentionResults.TaskScore score : task.methods()) {
      rows.add(List.of(score.method(), percent(score.choice()), percent(score.exact())));
    }
    return Format.table("lrr", rows);
  }

  private static String percent(double share) {
    return Format.decimals(100 * share, 1);
  }

  private static String scientific(double value) {
    return String.format(Locale.ROOT, "%.2e", value);
  }
}
