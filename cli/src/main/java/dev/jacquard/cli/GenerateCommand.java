package dev.jacquard.cli;

import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.session.GenerationRequest;
import dev.jacquard.session.GenerationStatistics;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code generate}: continues a prompt. */
@Command(
    name = "generate",
    description = {
      "Continues a prompt.",
      "The generated text, and nothing else, goes to standard output. One line with the number of"
          + " tokens, the speeds, the bytes read per token and its cost goes to standard error."
    },
    footer = {
      "  jacquard generate -n 64 --temp 0.7 --repeat-penalty 1.1 \"class Point {\"",
      "  git diff | jacquard generate -f - --json --price-per-hour 0.10"
    })
final class GenerateCommand implements Callable<Integer> {
  private static final SamplingSettings DEFAULT = SamplingSettings.DEFAULT;

  /** A part of a generation in the JSON document. */
  record Phase(int tokens, double seconds, double tokensPerSecond) {
    static Phase of(GenerationStatistics.Phase phase) {
      return new Phase(phase.tokens(), phase.seconds(), phase.tokensPerSecond());
    }
  }

  /** The JSON document. */
  record Document(
      String text,
      List<Integer> promptIds,
      List<Integer> ids,
      String finishReason,
      String model,
      String backend,
      long seed,
      Phase prefill,
      Phase decode,
      long bytesPerToken,
      AttentionDocument attention,
      HeadDocument head,
      Cost cost) {}

  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(arity = "0..1", paramLabel = "PROMPT", description = "Text to continue.")
  private @Nullable String prompt;

  @Option(
      names = {"-f", "--file"},
      paramLabel = "FILE",
      description = "Read the prompt from a file, or from standard input if it is '-'.")
  private @Nullable Path promptFile;

  @Option(
      names = {"-n", "--predict"},
      paramLabel = "N",
      converter = Numbers.Limit.class,
      description = "Most tokens to generate; -1 for as many as the context holds (default: -1).")
  private int limit = -1;

  @Option(
      names = "--temp",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description = "Temperature; 0 takes the most probable token always (default: 0.8).")
  private double temperature = DEFAULT.temperature();

  @Option(
      names = "--top-k",
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description = "Draw from the N most probable tokens; 0 for all (default: 40).")
  private int topK = DEFAULT.topK();

  @Option(
      names = "--top-p",
      paramLabel = "X",
      converter = Numbers.Share.class,
      description =
          "Draw from the tokens that make up this probability; 1 for all (default: 0.95).")
  private float topP = DEFAULT.topP();

  @Option(
      names = "--min-p",
      paramLabel = "X",
      converter = Numbers.Share.class,
      description = "Least probability relative to the best token's; 0 for all (default: 0.05).")
  private float minP = DEFAULT.minP();

  @Option(
      names = "--repeat-penalty",
      paramLabel = "X",
      converter = Numbers.FinitePositive.class,
      description = "Makes recent tokens less probable; 1 for no penalty (default: 1).")
  private double repeatPenalty = DEFAULT.repeatPenalty();

  @Option(
      names = "--repeat-last-n",
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description = "How many recent tokens are penalised (default: 64).")
  private int repeatLastN = DEFAULT.repeatLastN();

  @Option(
      names = {"-s", "--seed"},
      paramLabel = "N",
      converter = Numbers.Seed.class,
      description = "Seed of the random numbers; -1 for a random one (default: -1).")
  private long seed = -1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End before this text; may be given several times.")
  private List<String> stops = List.of();

  @Option(names = "--ignore-eos", description = "Go on after end-of-generation tokens.")
  private boolean ignoreEos;

  @Option(
      names = "--special",
      description = "Control tokens are text: they are parsed in the prompt and printed.")
  private boolean special;

  @Option(
      names = "--price-per-hour",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description =
          "What an hour of this machine costs, in any currency; gives the cost of a token.")
  private @Nullable Double pricePerHour;

  @Option(
      names = "--margin",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description =
          "Where the best two logits are closer, do the step again one class of attention stricter;"
              + " 0 for never (default: 0).")
  private double margin;

  @Option(names = "--stats", description = "Also say what attention and the output head read.")
  private boolean stats;

  @Option(names = "--json", description = "Print one JSON document instead of the text.")
  private boolean json;

  @Mixin private final HeadFlag head = new HeadFlag();

  @Mixin private final RunFlags run = new RunFlags();

  GenerateCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    long usedSeed = seed >= 0 ? seed : ThreadLocalRandom.current().nextLong(1L << 32);
    SamplingSettings sampling =
        new SamplingSettings(
            (float) temperature, topK, topP, minP, (float) repeatPenalty, repeatLastN, usedSeed);
    if (stops.contains("")) {
      throw new ParameterException(spec.commandLine(), "--stop needs a text that is not empty");
    }
    String text = prompt();
    try (Model model = run.open(terminal, 0);
        Session session = model.newSession(run.attention())) {
      List<Integer> ids = promptIds(model.tokenizer(), text);
      var request =
          new GenerationRequest(
              ids, limit, sampling, stops, ignoreEos, null, margin, head.headClass());
      return generate(model, session, request);
    }
  }

  private String prompt() throws IOException {
    if ((prompt == null) == (promptFile == null)) {
      throw new ParameterException(
          spec.commandLine(), "give either a PROMPT or a file with -f ('-f -' is standard input)");
    }
    return promptFile == null
        ? Objects.requireNonNull(prompt)
        : TextInput.read(promptFile, terminal);
  }

  /** Ids of the text; an empty text in a file that adds no BOS by itself begins with it too. */
  private List<Integer> promptIds(Tokenizer tokenizer, String text) {
    int[] ids = tokenizer.encode(text, new Tokenizer.Options(true, special));
    if (ids.length == 0 && tokenizer.bos() >= 0) {
      ids = new int[] {tokenizer.bos()};
    }
    if (ids.length == 0) {
      throw new InputException("the prompt is empty and this model has no token to begin with");
    }
    return Arrays.stream(ids).boxed().toList();
  }

  private int generate(Model model, Session session, GenerationRequest request) {
    Tokenizer tokenizer = model.tokenizer();
    Reply reply =
        Reply.read(
            session,
            request,
            terminal,
            "reading the prompt",
            !json,
            id -> special && tokenizer.isControl(id) ? tokenizer.spelling(id) : "");
    GenerationStatistics statistics = reply.finished().statistics();
    Cost cost = Cost.of(statistics.decode(), pricePerHour);
    AttentionDocument attention = AttentionDocument.of(statistics.attention());
    HeadDocument logits = HeadDocument.of(statistics.head());
    String reason = reply.reason();
    if (json) {
      terminal.println(
          Json.write(
              new Document(
                  reply.text(),
                  request.prompt(),
                  reply.ids(),
                  reason,
                  String.valueOf(model.file().path().getFileName()),
                  model.backend().name(),
                  request.sampling().seed(),
                  Phase.of(statistics.prefill()),
                  Phase.of(statistics.decode()),
                  statistics.bytesPerToken(),
                  attention,
                  logits,
                  cost)));
    } else {
      terminal.endLine();
    }
    terminal.note(
        terminal.dim(
            "%d + %d tokens | prefill %s | decode %s | %s/token | %s | %s"
                .formatted(
                    request.prompt().size(),
                    reply.ids().size(),
                    Format.speed(statistics.prefill()),
                    Format.speed(statistics.decode()),
                    Format.bytes(statistics.bytesPerToken()),
                    cost,
                    reason.replace('_', ' '))));
    if (stats) {
      terminal.note(terminal.dim(attention.text()));
      terminal.note(terminal.dim(logits.text()));
    }
    return reply.exitCode(terminal);
  }
}
