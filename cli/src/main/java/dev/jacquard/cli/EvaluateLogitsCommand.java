package dev.jacquard.cli;

import dev.jacquard.evaluation.LogitsFile;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
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
          + " entries, 0), then for each position the logarithm of the sum of exponentials and either"
          + " all logits, or the best ones as pairs of id and logit."
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
        Session session = model.newSession()) {
      int[] ids = ids(model.tokenizer());
      try (LogitsFile.Writer writer =
          LogitsFile.writer(output, ids.length, model.tokenizer().size(), top)) {
        session.evaluate(
            ids,
            ids.length,
            (position, logits) -> {
              terminal.interruption().check();
              writer.add(logits);
              terminal.status("positions " + Terminal.bar((position + 1.0) / ids.length));
            });
      }
      terminal.note(output + ": logits of " + ids.length + " positions");
    }
    return ExitCode.OK;
  }

  private int[] ids(Tokenizer tokenizer) throws IOException {
    int[] all =
        source.text != null
            ? tokenizer.encode(TextInput.read(source.text, terminal), Tokenizer.Options.DEFAULT)
            : parse(source.ids, tokenizer.size());
    if (all.length == 0) {
      throw new InputException("there are no tokens to evaluate");
    }
    return Arrays.copyOf(all, Math.min(all.length, limit));
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
