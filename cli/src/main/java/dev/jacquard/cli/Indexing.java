package dev.jacquard.cli;

import dev.jacquard.context.FileSection;
import dev.jacquard.context.SectionCutter;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.StoredFile;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryException;
import dev.jacquard.repository.RepositoryFile;
import dev.jacquard.repository.SkippedPath;
import dev.jacquard.session.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Stores what of a repository is not stored yet, several files at a time: small ones share steps,
 * and one is written to the disk while the next is computed.
 */
final class Indexing {
  private static final int AT_A_TIME = 4;

  private final Model model;
  private final KvStore store;
  private final Repository repository;
  private final Terminal terminal;
  private final SectionCutter cutter;
  private final long totalBytes;
  private final AtomicInteger next = new AtomicInteger();
  private final List<SkippedPath> skipped;
  private final long started = System.nanoTime();
  private long ended;
  private long textBytes;
  private long computedTextBytes;
  private int computed;
  private int stored;
  private long tokens;
  private long computedTokens;
  private long bytes;

  Indexing(Model model, KvStore store, Repository repository, Terminal terminal) {
    this.model = model;
    this.store = store;
    this.repository = repository;
    this.terminal = terminal;
    cutter = SectionCutter.of(model);
    skipped = new ArrayList<>(repository.skipped());
    totalBytes = repository.files().stream().mapToLong(RepositoryFile::bytes).sum();
  }

  /**
   * Works until all is stored.
   *
   * @throws java.util.concurrent.CancellationException if the command was asked to stop
   * @throws dev.jacquard.memory.JacquardException if the model or the store fails
   */
  void run() {
    ExecutorService workers = Executors.newFixedThreadPool(AT_A_TIME);
    terminal.interruption().onRequest(workers::shutdownNow);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < AT_A_TIME && !workers.isShutdown(); i++) {
        running.add(workers.submit(this::work));
      }
      for (Future<?> worker : running) {
        await(worker, workers);
      }
    } finally {
      workers.shutdownNow();
      workers.close();
      ended = System.nanoTime();
    }
    terminal.interruption().check();
  }

  /** Waits for a worker; the first failure stops the others. */
  private void await(Future<?> worker, ExecutorService workers) {
    try {
      worker.get();
    } catch (ExecutionException e) {
      workers.shutdownNow();
      terminal.interruption().check(); // then the failure is but the end of what was stopped
      throw e.getCause() instanceof RuntimeException cause
          ? cause
          : new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void work() {
    List<RepositoryFile> files = repository.files();
    for (int i = next.getAndIncrement(); i < files.size(); i = next.getAndIncrement()) {
      if (Thread.currentThread().isInterrupted()) {
        return;
      }
      index(files.get(i));
    }
  }

  private void index(RepositoryFile file) {
    if (file.bytes() == 0) {
      skip(file, "is empty");
      return;
    }
    String text;
    try {
      text = repository.text(file);
    } catch (RepositoryException e) {
      skip(file, "was edited or removed while the folder was read; run the command again");
      return;
    }
    List<FileSection> sections = cutter.cut(file, text);
    int lead = model.lead().length;
    for (FileSection section : sections) {
      if (section.ids().length > model.context() - lead) {
        skip(
            file,
            "has a part of %d tokens, more than the context of %d; raise --ctx-size"
                .formatted(section.ids().length, model.context()));
        return;
      }
    }
    boolean isNew = false;
    for (FileSection section : sections) {
      if (Thread.currentThread().isInterrupted()) {
        return;
      }
      Optional<StoredFile> found = store.find(model.lead(), section.ids());
      isNew |= found.isEmpty();
      add(found.orElseGet(() -> model.store(store, section.ids())), found.isEmpty());
    }
    done(file, isNew);
  }

  private synchronized void skip(RepositoryFile file, String reason) {
    skipped.add(new SkippedPath(file.path(), reason));
    textBytes += file.bytes();
    showProgress();
  }

  private synchronized void add(StoredFile section, boolean isNew) {
    tokens += section.tokens();
    bytes += section.bytes();
    if (isNew) {
      computedTokens += section.tokens();
    }
    showProgress();
  }

  private synchronized void done(RepositoryFile file, boolean isNew) {
    textBytes += file.bytes();
    if (isNew) {
      computed++;
      computedTextBytes += file.bytes();
    } else {
      stored++;
    }
    showProgress();
  }

  private void showProgress() {
    double left = (totalBytes - textBytes) * seconds() / Math.max(1, computedTextBytes);
    terminal.status(
        "%d of %d files, %s tokens %s %s tok/s%s"
            .formatted(
                computed + stored,
                repository.files().size(),
                Format.count(tokens),
                Terminal.bar((double) textBytes / Math.max(1, totalBytes)),
                Format.speed(speed()),
                computed == 0 ? "" : ", " + IndexCommand.time(left) + " left"));
  }

  /** Files whose keys and values were computed. */
  synchronized int computed() {
    return computed;
  }

  /** Files that were stored already. */
  synchronized int stored() {
    return stored;
  }

  /** Tokens of all these. */
  synchronized long tokens() {
    return tokens;
  }

  /** Tokens that were computed. */
  synchronized long computedTokens() {
    return computedTokens;
  }

  /** Bytes that all these take in the store. */
  synchronized long bytes() {
    return bytes;
  }

  /** What was left out and why, by path. */
  synchronized List<SkippedPath> skipped() {
    return skipped.stream().sorted((a, b) -> a.path().compareTo(b.path())).toList();
  }

  /** Wall time, so far or in all. */
  double seconds() {
    return ((ended == 0 ? System.nanoTime() : ended) - started) * 1e-9;
  }

  /** Computed tokens per second. */
  double speed() {
    return computedTokens() / Math.max(1e-9, seconds());
  }
}
