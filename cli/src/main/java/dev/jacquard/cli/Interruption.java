package dev.jacquard.cli;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ctrl-C and SIGTERM: the running command is asked to stop and may still say what it has to say.
 * The JVM ends with 128 + the signal's number by itself once its shutdown hooks are done, so the
 * hook waits for the command.
 */
final class Interruption {
  private static final long LAST_WORDS_SECONDS = 10;

  private final CountDownLatch finished = new CountDownLatch(1);
  private volatile boolean requested;
  private volatile Runnable action = () -> {};

  /** Listens to the signals of this process. */
  void install() {
    Runtime.getRuntime().addShutdownHook(new Thread(this::requestAndWait, "interruption"));
  }

  /** Asks the running command to stop. */
  void request() {
    requested = true;
    action.run();
  }

  /** What stops the running command, from now on; runs at once if it has been asked to already. */
  void onRequest(Runnable stop) {
    action = stop;
    if (requested) {
      stop.run();
    }
  }

  /** Whether the command was asked to stop. */
  boolean requested() {
    return requested;
  }

  /**
   * Where a long computation can be left.
   *
   * @throws CancellationException if the command was asked to stop
   */
  void check() {
    if (requested) {
      throw new CancellationException("interrupted");
    }
  }

  /** The command has said its last word. */
  void finish() {
    finished.countDown();
  }

  private void requestAndWait() {
    if (finished.getCount() == 0) {
      return;
    }
    request();
    try {
      boolean _ = finished.await(LAST_WORDS_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
