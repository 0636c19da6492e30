package dev.jacquard.session;

import java.util.ArrayDeque;
import java.util.Deque;

/** What was opened, to be closed in reverse order, once; a failure stops none of the others. */
final class Resources implements AutoCloseable {
  private final Deque<Runnable> closers = new ArrayDeque<>();

  void add(Runnable close) {
    closers.push(close);
  }

  @Override
  public synchronized void close() {
    RuntimeException first = null;
    while (!closers.isEmpty()) {
      try {
        closers.pop().run();
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      }
    }
    if (first != null) {
      throw first;
    }
  }
}
