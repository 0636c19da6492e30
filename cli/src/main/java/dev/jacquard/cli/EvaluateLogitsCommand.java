package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.evaluation.LogSumExp;
import dev.jacquard.evaluation.LogitsWriter;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.neurons.ColumnNorms;
import dev.jacquard.neurons.FeedForwardPolicy;
import dev.jacquard.neurons.NeuronStatistics;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.session.Session.LogitsConsumer;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code evaluate logits}: what a model says after each token of a text. */
@Command(
    name = "logits",
    description = {
      "Writes the logits after each token of a text to a file.",
      "The form is that of the reference files: a header of four int32 (positions, vocabulary,"
          + " entries, 0), then for each position the logarithm of the sum of exponentials and"
          + " either all logits, or the best ones as pairs of id and logit.",
      "With --last, the tokens before are read densely, and the last ones are decoded one by one by"
          + " the class of --attention and --ffn; only these are written. The neurons of"
          + " prompt:SHARE are chosen once, by the tokens before."
    },
    footer = "  jacquard evaluate logits -f text.txt -n 160 --top 0 -o candidate.bin")
final class EvaluateLogitsCommand implements Callable<Integer> {
  /** Where the ids come from. */
  static final class Source {
    @Option(
        names = {"-f", "--file"},
        paramLabel = "FILE",
        description = "A text, in UTF-8; '-' is standard input.")
    private @Nullable Path text;

    @Option(
        names = "--ids",
        paramLabel = "FILE",
        description = "A file of token ids, one in a line.")
    private @Nullable Path ids;
  }

  private final Terminal terminal;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Source source = new Source();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The file to write.")
  private Path output = Path.of("");

  @Option(
      names = {"-n", "--positions"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      description = "How many tokens, from the first (default: all).")
  private int limit = Integer.MAX_VALUE;

  @Option(
      names = "--last",
      paramLabel = "N",
      converter = Numbers.Positive.class,
      description = "Decode the last N tokens one by one, and write only these.")
  private @Nullable Integer last;

  @Option(
      names = "--top",
      paramLabel = "N",
      defaultValue = "256",
      converter = Numbers.NotNegative.class,
      description = "How many of the best logits are kept; 0 for all (default: ${DEFAULT-VALUE}).")
  private int top;

  @Mixin private final FeedForwardFlag feedForward = new FeedForwardFlag();

  @Mixin private final RunFlags run = new RunFlags();

  @Spec private CommandSpec spec = CommandSpec.create();

  /** Sum of the negative logarithms of the probabilities of tokens that followed. */
  private double loss;

  private int predicted;

  EvaluateLogitsCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    if (last == null && !feedForward.policy().equals(FeedForwardPolicy.dense())) {
      throw new ParameterException(
          spec.commandLine(),
          "--ffn %s chooses neurons by the tokens before: say with --last how many follow them"
              .formatted(feedForward.policy()));
    }
    try (Model model = run.open(terminal, 0);
        Session session = model.newSession(run.attention())) {
      int[] ids = ids(model.tokenizer());
      int vocabulary = model.tokenizer().size();
      try (LogitsWriter writer =
          LogitsWriter.create(output, vocabulary, top == 0 ? vocabulary : top)) {
        LogitsConsumer consumer = (position, logits) -> append(writer, logits, position, ids);
        if (last == null) {
          session.evaluate(ids, ids.length, consumer);
        } else {
          decode(model, session, ids, ids.length - last, consumer);
        }
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
      terminal.clearStatus();
      int written = last == null ? ids.length : last;
      terminal.note(
          output
              + ": logits of "
              + written
              + " positions"
              + (predicted == 0
                  ? ""
                  : ", perplexity " + Format.decimals(Math.exp(loss / predicted), 4)));
    }
    return ExitCode.OK;
  }

  /** Reads the tokens before {@code first} densely, and each of the others in a step of its own. */
  private void decode(Model model, Session session, int[] ids, int first, LogitsConsumer consumer) {
    terminal.status("reading " + first + " tokens");
    int[] before = Arrays.copyOf(ids, first);
    NeuronRule rule =
        switch (feedForward.policy()) {
          case FeedForwardPolicy.Dense _ -> {
            session.evaluate(before, 0, (_, _) -> {}, AttentionPolicy.DENSE);
            yield NeuronRule.ALL;
          }
          case FeedForwardPolicy.Prompt(double share) -> {
            NeuronStatistics statistics = new NeuronStatistics(model.program());
            session.evaluate(
                before, 0, (_, _) -> {}, AttentionPolicy.DENSE, NeuronRule.ALL, statistics);
            yield new NeuronRule.Listed(statistics.select(share, ColumnNorms.of(model.program())));
          }
        };
    for (int i = first; i < ids.length; i++) {
      session.evaluate(new int[] {ids[i]}, 1, consumer, run.attention(), rule, null);
    }
  }

  private void append(LogitsWriter writer, float[] logits, int position, int[] ids) {
    terminal.interruption().check();
    terminal.status("position " + Terminal.bar((position + 1.0) / ids.length));
    if (position + 1 < ids.length) {
      loss += LogSumExp.of(logits) - logits[ids[position + 1]];
      predicted++;
    }
    try {
      writer.append(logits);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int[] ids(Tokenizer tokenizer) throws IOException {
    int[] all =
        source.text != null
            ? tokenizer.encode(TextInput.read(source.text, terminal), Tokenizer.Options.DEFAULT)
            : parse(Objects.requireNonNull(source.ids), tokenizer.size());
    if (all.length == 0) {
      throw new InputException("there are no tokens to evaluate");
    }
    int[] ids = Arrays.copyOf(all, Math.min(all.length, limit));
    if (last != null && last > ids.length) {
      throw new InputException(
          "--last %d is more than the %d tokens there are".formatted(last, ids.length));
    }
    return ids;
  }

  private static int[] parse(Path file, int vocabulary) throws IOException {
    List<String> lines = Files.readAllLines(file);
    int[] ids = new int[lines.size()];
    int count = 0;
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      if (!line.isEmpty()) {
        ids[count++] = id(line, vocabulary, file + ", line " + (i + 1));
      }
    }
    return Arrays.copyOf(ids, count);
  }

  private static int id(String line, int vocabulary, String place) {
    try {
      int id = Integer.parseInt(line);
      if (id >= 0 && id < vocabulary) {
        return id;
      }
    } catch (NumberFormatException e) {
      // Reported below, as every other line that is no id.
    }
    throw new InputException(
        "%s: expected a token id from 0 to %d, not '%s'".formatted(place, vocabulary - 1, line));
  }
}
