package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.evaluation.LogitsWriter;
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
import picocli.CommandLine.Option;

/** {@code evaluate logits}: what a model says after each token of a text. */
@Command(
    name = "logits",
    description = {
      "Writes the logits after each token of a text to a file.",
      "The form is that of the reference files: a header of four int32 (positions, vocabulary,"
          + " entries, 0), then for each position the logarithm of the sum of exponentials and"
          + " either all logits, or the best ones as pairs of id and logit.",
      "With --last, the tokens before are read densely, and the last ones are decoded one by one by"
          + " the class of --attention; only these are written."
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

  @Mixin private final RunFlags run = new RunFlags();

  EvaluateLogitsCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    try (Model model = run.open(terminal, 0);
        Session session = model.newSession(run.attention())) {
      int[] ids = ids(model.tokenizer());
      int vocabulary = model.tokenizer().size();
      try (LogitsWriter writer =
          LogitsWriter.create(output, vocabulary, top == 0 ? vocabulary : top)) {
        LogitsConsumer consumer =
            (position, logits) -> append(writer, logits, position, ids.length);
        if (last == null) {
          session.evaluate(ids, ids.length, consumer);
        } else {
          decode(session, ids, ids.length - last, consumer);
        }
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
      terminal.clearStatus();
      int written = last == null ? ids.length : last;
      terminal.note(output + ": logits of " + written + " positions");
    }
    return ExitCode.OK;
  }

  /** Reads the tokens before {@code first} densely, and each of the others in a step of its own. */
  private void decode(Session session, int[] ids, int first, LogitsConsumer consumer) {
    terminal.status("reading " + first + " tokens");
    session.evaluate(Arrays.copyOf(ids, first), 0, (_, _) -> {}, AttentionPolicy.DENSE);
    for (int i = first; i < ids.length; i++) {
      session.evaluate(new int[] {ids[i]}, 1, consumer);
    }
  }

  private void append(LogitsWriter writer, float[] logits, int position, int count) {
    terminal.interruption().check();
    terminal.status("position " + Terminal.bar((position + 1.0) / count));
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
