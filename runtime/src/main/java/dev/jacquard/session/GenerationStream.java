package dev.jacquard.session;

import dev.jacquard.memory.JacquardException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;

/**
 * The events of one generation, as they happen. One thread reads; any thread may {@link #cancel}
 * and {@link #close}. The last event is a {@link GenerationEvent.Finished}. A reader that falls
 * behind by {@value #READ_AHEAD} events holds up its own generation, and no other.
 */
public final class GenerationStream implements Iterator<GenerationEvent>, AutoCloseable {
  private static final int READ_AHEAD = 64;

  /** A step brings at most a prefill, a token and the end; the place for the end stays free. */
  private static final int ROOM = 3;

  private final BlockingQueue<GenerationEvent> events =
      new ArrayBlockingQueue<>(READ_AHEAD + ROOM - 1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Runnable cancelJob;
  private final Runnable wakeEngine;
  private volatile boolean finished;

  GenerationStream(Runnable cancelJob, Runnable wakeEngine) {
    this.cancelJob = cancelJob;
    this.wakeEngine = wakeEngine;
  }

  /**
   * Whether an event is still to come; false after {@link GenerationEvent.Finished} or {@link
   * #close}. Never waits.
   */
  @Override
  public boolean hasNext() {
    return !finished;
  }

  /**
   * The next event; waits for it.
   *
   * @throws NoSuchElementException after the last one, or after {@link #close}
   * @throws JacquardException if the thread is interrupted while it waits; its flag stays set, and
   *     the generation goes on until it is cancelled
   */
  @Override
  public GenerationEvent next() {
    if (finished) {
      throw new NoSuchElementException("the generation has ended");
    }
    GenerationEvent event;
    try {
      event = events.take();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new JacquardException("interrupted while waiting for the next token", e);
    }
    if (event instanceof GenerationEvent.Finished) {
      finished = true;
    } else if (events.remainingCapacity() == ROOM) {
      wakeEngine.run(); // it had stopped for want of room
    }
    return event;
  }

  /**
   * Asks the generation to end; it finishes with {@link FinishReason#CANCELLED} before its next
   * step. Does nothing if it has ended. Never waits.
   */
  public void cancel() {
    cancelJob.run();
    wakeEngine.run();
  }

  /**
   * Cancels if need be and waits until the generation has ended, at most for the step that runs.
   * Events that were not read are gone. Twice does nothing.
   */
  @Override
  public void close() {
    cancel();
    boolean interrupted = false;
    while (true) {
      try {
        ended.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    finished = true;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whether the events of one more step fit; engine thread. */
  boolean hasRoom() {
    return events.remainingCapacity() >= ROOM;
  }

  /** Adds an event; engine thread, after {@link #hasRoom}. */
  void put(GenerationEvent event) {
    events.add(event);
  }

  /** Adds the last event, for which there is always room; engine thread. */
  void end(GenerationEvent.Finished last) {
    events.add(last);
    ended.countDown();
  }
}
