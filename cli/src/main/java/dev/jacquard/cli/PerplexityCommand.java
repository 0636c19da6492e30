package dev.jacquard.cli;

import dev.jacquard.evaluation.Perplexity;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code perplexity}: how well a model predicts a text. */
@Command(
    name = "perplexity",
    description = {
      "Measures how well a model predicts a text.",
      "As llama.cpp does: the text is cut into windows of the context's size (512 unless -c says"
          + " otherwise), the first token of each becomes BOS, and the second half of each is"
          + " scored."
    },
    footer = "  jacquard perplexity -f text.txt -c 512")
final class PerplexityCommand implements Callable<Integer> {
  private static final int DEFAULT_WINDOW = 512;
  private static final int LEAST_WINDOW = 3;

  /** The JSON document. */
  record Document(double perplexity, double uncertainty, long tokens) {}

  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = {"-f", "--file"},
      paramLabel = "FILE",
      required = true,
      description = "The text, in UTF-8; '-' is standard input.")
  private Path file = Path.of("-");

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  @Mixin private final RunFlags run = new RunFlags();

  PerplexityCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    int window = run.context() == 0 ? DEFAULT_WINDOW : run.context();
    if (window < LEAST_WINDOW) {
      throw new ParameterException(
          spec.commandLine(), "-c must be at least " + LEAST_WINDOW + ", not " + window);
    }
    String text = TextInput.read(file, terminal);
    try (Model model = run.open(terminal, window);
        Session session = model.newSession(run.attention())) {
      int[] ids = model.tokenizer().encode(text, Tokenizer.Options.DEFAULT);
      if (ids.length < window) {
        throw new InputException(
            "the text has %d tokens and fills no window of %d: give a longer one or a smaller -c"
                .formatted(ids.length, window));
      }
      Perplexity result =
          Perplexity.measure(
              ids,
              window,
              bos(model.tokenizer()),
              (tokens, outputs, logits) -> {
                session.rewind(0);
                session.evaluate(tokens, outputs, logits);
              },
              this::progress);
      terminal.clearStatus();
      terminal.println(
          json
              ? Json.write(new Document(result.perplexity(), result.uncertainty(), result.tokens()))
              : "perplexity %s ± %s (%d tokens scored)"
                  .formatted(
                      Format.decimals(result.perplexity(), 4),
                      Format.decimals(result.uncertainty(), 4),
                      result.tokens()));
    }
    return ExitCode.OK;
  }

  private void progress(int done, int total, double perplexity) {
    terminal.interruption().check();
    terminal.status(
        "window %d of %d %s perplexity %s"
            .formatted(
                done, total, Terminal.bar((double) done / total), Format.decimals(perplexity, 2)));
  }

  /** The token that begins a text, or -1 if the model's file asks for none. */
  private static int bos(Tokenizer tokenizer) {
    int[] added = tokenizer.encode("", Tokenizer.Options.DEFAULT);
    return added.length > 0 && added[0] == tokenizer.bos() ? tokenizer.bos() : -1;
  }
}
