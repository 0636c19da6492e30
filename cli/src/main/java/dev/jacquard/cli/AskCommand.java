package dev.jacquard.cli;

import dev.jacquard.context.ContextFeeder;
import dev.jacquard.context.ContextFeeder.Fed;
import dev.jacquard.context.ContextPlanner;
import dev.jacquard.context.ContextTree;
import dev.jacquard.context.ContextTree.ResidentFile;
import dev.jacquard.context.SectionCutter;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.repository.LexicalRanking;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryReader;
import dev.jacquard.repository.SkippedPath;
import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.session.GenerationRequest;
import dev.jacquard.session.GenerationStatistics;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.tokenizer.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
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

/** {@code ask}: a question about a folder of sources. */
@Command(
    name = "ask",
    description = {
      "Answers a question about a folder of sources.",
      "The files that have most to do with the question are read into the context, the best one"
          + " last, then the question, in the plain form that any model can go on with. The answer,"
          + " and nothing else, goes to standard output."
    },
    footer = {
      "  jacquard ask src \"Where are cached pages shared?\" -c 8192 --show-files",
      "  jacquard ask . \"What does PagedKvCache do?\" --attention budgeted --pin PagedKvCache.java"
    })
final class AskCommand implements Callable<Integer> {
  /** What is told of a binary file. */
  private static final String BINARY = "is binary";

  /** A context with less room for files is too small to ask anything. */
  private static final int LEAST_ROOM = 64;

  /** A file in the JSON document. */
  record PlacedFile(
      String path, int first, int tokens, boolean whole, boolean pinned, double score, String why) {
    static PlacedFile of(ResidentFile file) {
      return new PlacedFile(
          file.node().name(),
          file.node().first(),
          file.node().tokens(),
          file.whole(),
          file.node().all().anyMatch(n -> n.pinned()),
          file.node().score(),
          file.why());
    }
  }

  /** What was read in the JSON document. */
  record ContextDocument(
      String folder,
      int files,
      int tokens,
      int computedTokens,
      int storedTokens,
      double seconds,
      List<PlacedFile> placed,
      List<SkippedPath> skipped,
      List<String> unread) {}

  /** Tokens in the session at the end, and what their keys and values take. */
  record Resident(int tokens, long bytes, double bytesPerToken) {
    static Resident of(Model model, Session session) {
      long bytes = model.cachedBytes();
      return new Resident(session.position(), bytes, (double) bytes / session.position());
    }
  }

  /** The JSON document. */
  record Document(
      String text,
      String question,
      ContextDocument context,
      double secondsToFirstToken,
      Resident resident,
      String finishReason,
      String model,
      String backend,
      long seed,
      GenerateCommand.Phase prefill,
      GenerateCommand.Phase decode,
      long bytesPerToken,
      AttentionDocument attention,
      HeadDocument head,
      Cost cost) {}

  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(index = "0", paramLabel = "DIR", description = "Folder of sources.")
  private Path folder = Path.of("");

  @Parameters(index = "1", paramLabel = "QUESTION", description = "What to answer.")
  private String question = "";

  @Option(
      names = {"-n", "--predict"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "256",
      description = "Most tokens of the answer (default: ${DEFAULT-VALUE}).")
  private int limit;

  @Option(
      names = "--temp",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description = "Temperature; 0 takes the most probable token always (default: 0.8).")
  private double temperature = SamplingSettings.DEFAULT.temperature();

  @Option(
      names = "--repeat-penalty",
      paramLabel = "X",
      converter = Numbers.FinitePositive.class,
      description = "Makes recent tokens less probable; 1 for no penalty (default: 1).")
  private double repeatPenalty = SamplingSettings.DEFAULT.repeatPenalty();

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

  @Option(
      names = "--pin",
      paramLabel = "NAME",
      description =
          "A file, by the end of its path, or a symbol, by its name: it is read first and always"
              + " closely; may be given several times.")
  private List<String> pins = List.of();

  @Option(
      names = "--recompute",
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description =
          "How many of the first tokens of each indexed section are computed anew: more of them are"
              + " closer to a context that is computed as a whole, and slower (default: "
              + Session.RECOMPUTED
              + ").")
  private int recomputed = Session.RECOMPUTED;

  @Option(
      names = "--show-files",
      description =
          "Say which files were placed, how many tokens they have, and why; --verbose does so"
              + " too.")
  private boolean showFiles;

  @Option(
      names = "--price-per-hour",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description =
          "What an hour of this machine costs, in any currency; gives the cost of a token.")
  private @Nullable Double pricePerHour;

  @Option(names = "--json", description = "Print one JSON document instead of the text.")
  private boolean json;

  @Mixin private final StoreFlags storeFlags = new StoreFlags();
  @Mixin private final HeadFlag head = new HeadFlag();

  @Mixin private final RunFlags run = new RunFlags();

  AskCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() {
    if (question.isBlank()) {
      throw new ParameterException(spec.commandLine(), "the QUESTION is empty");
    }
    if (stops.contains("")) {
      throw new ParameterException(spec.commandLine(), "--stop needs a text that is not empty");
    }
    LexicalRanking ranking = new LexicalRanking(question);
    Repository repository = read(ranking);
    try (Model model = run.open(terminal, 0);
        Session session = model.newSession(run.attention())) {
      int[] asked = model.tokenizer().encode(asked(), Tokenizer.Options.PLAIN);
      ContextTree tree =
          new ContextPlanner(
                  model.tokenizer(),
                  SectionCutter.of(model),
                  room(model, asked.length),
                  Set.copyOf(pins))
              .plan(repository, ranking.rank());
      long started = System.nanoTime();
      Fed fed = feed(model, session, tree);
      double seconds = (System.nanoTime() - started) * 1e-9;
      ContextDocument context =
          new ContextDocument(
              repository.root().toString(),
              repository.files().size(),
              tree.tokens(),
              fed.computed(),
              fed.stored(),
              seconds,
              tree.files().stream().map(PlacedFile::of).toList(),
              repository.skipped(),
              tree.unread());
      tell(context);
      return answer(model, session, asked, context);
    }
  }

  /** The question as comments, which follow on sources. */
  private String asked() {
    return "\n// Question: " + question.strip() + "\n// Answer:";
  }

  private Repository read(LexicalRanking ranking) {
    Repository repository =
        new RepositoryReader(RepositoryReader.DEFAULT_MAX_FILE_BYTES)
            .read(
                folder,
                (file, text, done, total) -> {
                  terminal.interruption().check();
                  terminal.status("reading files " + Terminal.bar((double) done / total));
                  ranking.file(file, text, done, total);
                });
    terminal.clearStatus();
    if (repository.files().isEmpty()) {
      throw new InputException(folder + " has no text files to ask about");
    }
    Set<String> missing = new LinkedHashSet<>(pins);
    missing.removeIf(pin -> ContextPlanner.names(repository, pin));
    if (!missing.isEmpty()) {
      throw new InputException(
          "--pin "
              + missing.iterator().next()
              + ": no file and no symbol of "
              + folder
              + " has this name");
    }
    return repository;
  }

  /** Tokens that files may have beside what begins the text, the question and the answer. */
  private int room(Model model, int asked) {
    int room = model.context() - model.lead().length - asked - limit;
    if (room < LEAST_ROOM) {
      throw new InputException(
          "a context of %d tokens has no room for files beside the question (%d) and the answer (%d):"
                  .formatted(model.context(), asked, limit)
              + " raise --ctx-size or lower --predict");
    }
    return room;
  }

  private Fed feed(Model model, Session session, ContextTree tree) {
    if (model.lead().length > 0) {
      session.evaluate(model.lead(), 0, (_, _) -> {});
    }
    Path stored = storeFlags.folder();
    KvStore store = Files.isDirectory(stored) ? storeFlags.open(stored, model, terminal) : null;
    Fed fed =
        new ContextFeeder(model, store, recomputed)
            .feed(
                session,
                tree,
                (done, total) -> {
                  terminal.interruption().check();
                  terminal.status("reading the context " + Terminal.bar((double) done / total));
                });
    terminal.clearStatus();
    return fed;
  }

  private void tell(ContextDocument context) {
    for (String message : context.unread()) {
      terminal.note("jacquard: not placed: " + message);
    }
    if (!showFiles && !terminal.verbose()) {
      return;
    }
    for (PlacedFile file : context.placed()) {
      terminal.note(
          "  %6d tokens  %s%s%s  (%s)"
              .formatted(
                  file.tokens(),
                  file.path(),
                  file.whole() ? "" : ", in parts",
                  file.pinned() ? ", pinned" : "",
                  file.why()));
    }
    List<SkippedPath> told =
        context.skipped().stream().filter(path -> !path.reason().equals(BINARY)).toList();
    for (SkippedPath path : told) {
      terminal.note("  skipped  %s: %s".formatted(path.path(), path.reason()));
    }
    int binary = context.skipped().size() - told.size();
    if (binary > 0) {
      terminal.note("  skipped  %d binary files (--json lists them)".formatted(binary));
    }
  }

  private int answer(Model model, Session session, int[] asked, ContextDocument context) {
    long usedSeed = seed >= 0 ? seed : ThreadLocalRandom.current().nextLong(1L << 32);
    SamplingSettings defaults = SamplingSettings.DEFAULT;
    SamplingSettings sampling =
        new SamplingSettings(
            (float) temperature,
            defaults.topK(),
            defaults.topP(),
            defaults.minP(),
            (float) repeatPenalty,
            defaults.repeatLastN(),
            usedSeed);
    GenerationRequest request =
        new GenerationRequest(
            Arrays.stream(asked).boxed().toList(),
            limit,
            sampling,
            stops,
            false,
            null,
            0,
            head.headClass());
    Reply reply = Reply.read(session, request, terminal, "reading the question", !json, id -> "");
    return finish(model, usedSeed, context, Resident.of(model, session), reply);
  }

  private int finish(
      Model model, long usedSeed, ContextDocument context, Resident resident, Reply reply) {
    GenerationStatistics statistics = reply.finished().statistics();
    Cost cost = Cost.of(statistics.decode(), pricePerHour);
    String reason = reply.reason();
    if (json) {
      terminal.println(
          Json.write(
              new Document(
                  reply.text(),
                  question,
                  context,
                  context.seconds() + statistics.prefill().seconds(),
                  resident,
                  reason,
                  String.valueOf(model.file().path().getFileName()),
                  model.backend().name(),
                  usedSeed,
                  GenerateCommand.Phase.of(statistics.prefill()),
                  GenerateCommand.Phase.of(statistics.decode()),
                  statistics.bytesPerToken(),
                  AttentionDocument.of(statistics.attention()),
                  HeadDocument.of(statistics.head()),
                  cost)));
    } else {
      terminal.endLine();
    }
    terminal.note(
        terminal.dim(
            "%d of %d files, %d tokens (%d stored) in %s s | %s a token resident | prefill %s | decode %s | %s/token | %s | %s"
                .formatted(
                    context.placed().size(),
                    context.files(),
                    context.tokens(),
                    context.storedTokens(),
                    Format.significant(context.seconds()),
                    Format.bytes(Math.round(resident.bytesPerToken())),
                    Format.speed(statistics.prefill()),
                    Format.speed(statistics.decode()),
                    Format.bytes(statistics.bytesPerToken()),
                    cost,
                    reason.replace('_', ' '))));
    return reply.exitCode(terminal);
  }
}
