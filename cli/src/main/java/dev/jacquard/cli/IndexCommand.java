package dev.jacquard.cli;

import dev.jacquard.kvstore.KvStore;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryReader;
import dev.jacquard.repository.SkippedPath;
import dev.jacquard.session.Model;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code index}: keys and values of the files of a folder, computed once and stored. */
@Command(
    name = "index",
    description = {
      "Reads the files of a folder with a model and stores their keys and values.",
      "Questions about the folder then begin at once. Files that are stored already are left"
          + " alone, so a run that was stopped goes on where it was, and after an edit only the"
          + " edited files are read again."
    },
    footer = "  jacquard index src -m gemma.gguf")
final class IndexCommand implements Callable<Integer> {
  /** The JSON document. */
  record Document(
      String model,
      String folder,
      int files,
      int computed,
      int stored,
      long tokens,
      long computedTokens,
      double seconds,
      double tokensPerSecond,
      List<SkippedPath> skipped,
      long bytes,
      StoreDocument store) {}

  /** The store as a whole, files of other folders and models included. */
  record StoreDocument(String folder, int files, long bytes, long maxBytes, long evicted) {}

  /** What is worked on. */
  static final class Target {
    @Parameters(paramLabel = "DIR", description = "Folder to read.")
    private @Nullable Path folder;

    @Option(names = "--list", description = "Print what the store has, of any folder and model.")
    private boolean list;

    @Option(names = "--clear", description = "Remove everything that is stored.")
    private boolean clear;
  }

  private final Terminal terminal;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private final Target target = new Target();

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  @Mixin private final StoreFlags storeFlags = new StoreFlags();
  @Mixin private final RunFlags run = new RunFlags();

  IndexCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    if (target.folder != null) {
      index(target.folder);
    } else {
      Path store = storeFlags.folder();
      List<KvStore.Entry> entries = target.list ? KvStore.entries(store) : KvStore.clear(store);
      print(store, entries);
    }
    return ExitCode.OK;
  }

  private void print(Path folder, List<KvStore.Entry> entries) {
    long bytes = entries.stream().mapToLong(KvStore.Entry::bytes).sum();
    if (json) {
      terminal.println(
          Json.write(
              new StoreDocument(
                  folder.toString(), entries.size(), bytes, storeFlags.maxBytes(), 0)));
      return;
    }
    terminal.println(
        "%s: %d files, %s%s"
            .formatted(
                folder,
                entries.size(),
                Format.bytes(bytes),
                target.clear
                    ? " removed"
                    : entries.isEmpty() ? "" : ", not used for longest: " + date(entries)));
  }

  private static String date(List<KvStore.Entry> entries) {
    return DateTimeFormatter.ISO_LOCAL_DATE.format(
        entries.getFirst().used().atZone(ZoneId.systemDefault()));
  }

  private void index(Path folder) throws IOException {
    Path storeFolder = storeFlags.folder();
    Repository repository =
        new RepositoryReader(RepositoryReader.DEFAULT_MAX_FILE_BYTES)
            .read(
                folder,
                (file, text, done, total) -> {
                  terminal.interruption().check();
                  terminal.status("reading %d of %d files".formatted(done, total));
                });
    try (Model model = run.open(terminal, 0)) {
      KvStore store = storeFlags.open(storeFolder, model, terminal);
      Indexing indexing = new Indexing(model, store, repository, terminal);
      try {
        indexing.run();
      } finally {
        terminal.clearStatus();
        print(model, repository, store, indexing);
      }
    }
  }

  private void print(Model model, Repository repository, KvStore store, Indexing indexing)
      throws IOException {
    List<KvStore.Entry> entries = KvStore.entries(store.folder());
    long bytes = entries.stream().mapToLong(KvStore.Entry::bytes).sum();
    if (json) {
      terminal.println(
          Json.write(
              new Document(
                  String.valueOf(model.file().path().getFileName()),
                  repository.root().toString(),
                  repository.files().size(),
                  indexing.computed(),
                  indexing.stored(),
                  indexing.tokens(),
                  indexing.computedTokens(),
                  indexing.seconds(),
                  indexing.speed(),
                  indexing.skipped(),
                  indexing.bytes(),
                  new StoreDocument(
                      store.folder().toString(),
                      entries.size(),
                      bytes,
                      storeFlags.maxBytes(),
                      store.evicted()))));
      return;
    }
    terminal.println(
        "%d of %d files: %d computed, %d were stored already"
            .formatted(
                indexing.computed() + indexing.stored(),
                repository.files().size(),
                indexing.computed(),
                indexing.stored()));
    terminal.println(
        "%d tokens, %s; %s computed%s"
            .formatted(
                indexing.tokens(),
                Format.bytes(indexing.bytes()),
                indexing.computed() == 0 ? "none" : String.valueOf(indexing.computedTokens()),
                indexing.computed() == 0
                    ? ""
                    : " in %s (%s tok/s)"
                        .formatted(time(indexing.seconds()), Format.speed(indexing.speed()))));
    terminal.println(
        "store: %s: %d files, %s of %s%s"
            .formatted(
                store.folder(),
                entries.size(),
                Format.bytes(bytes),
                Format.bytes(storeFlags.maxBytes()),
                store.evicted() == 0
                    ? ""
                    : "; it was full: " + store.evicted() + " files had to go"));
    for (SkippedPath path : indexing.skipped()) {
      terminal.println("skipped " + Format.printable(path.path()) + ": it " + path.reason());
    }
  }

  /** As {@code 42 s} or {@code 3:05 min}. */
  static String time(double seconds) {
    Duration time = Duration.ofSeconds(Math.round(seconds));
    return time.toMinutes() == 0
        ? time.toSeconds() + " s"
        : "%d:%02d min".formatted(time.toMinutes(), time.toSecondsPart());
  }
}
