package dev.jacquard.kernels.parallel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A fixed pool of platform threads that share loops: the calling thread and {@code threads − 1}
 * workers. Each thread has a range of chunks of consecutive items and works through it, then
 * through what is left of the others'. So loops over the same items find what the loop before left
 * in a core's own cache. {@link #run} allocates nothing and takes microseconds, because idle
 * workers wait actively for a moment before they park.
 *
 * <p>Which thread computes a chunk may vary, so a task must write results that do not depend on it.
 *
 * <p>Callers take turns; a task must not call {@link #run} of its own pool.
 */
public final class WorkerPool implements AutoCloseable {
  /** A loop body. */
  @FunctionalInterface
  public interface Task {
    /**
     * Computes items {@code from} (inclusive) to {@code to} (exclusive).
     *
     * @param thread 0 to {@link #threads()} − 1, different for threads that run at the same time:
     *     an index for buffers
     */
    void run(int from, int to, int thread);
  }

  /** Longer than the gap between two loops of a step, shorter than anybody notices. */
  private static final long SPIN_NANOS = 100_000;

  private final Worker[] workers;
  private final boolean spin;

  /** Longs between the tickets of two threads: two lines of the caches, which come in pairs. */
  private static final int PADDING = 16;

  /**
   * For each thread: the number of the loop in the upper half, the chunks of its range that nobody
   * has taken yet in the lower half. Who lowers it owns a chunk, and while a chunk is owned the
   * fields of the loop stay.
   */
  private final AtomicLongArray tickets;

  /** Chunks that are not finished yet. */
  private final AtomicInteger pending = new AtomicInteger();

  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final AtomicReference<@Nullable Thread> waitingCaller = new AtomicReference<>();
  private Task task = (from, to, thread) -> {};
  private int items;
  private int grain = 1;
  private int chunks;
  private long loop;
  private boolean running;
  private volatile boolean closed;

  /**
   * Starts the workers.
   *
   * @param threads threads that compute, the caller of {@link #run} included; at least 1
   */
  public WorkerPool(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, not " + threads);
    }
    spin = threads <= Runtime.getRuntime().availableProcessors();
    workers = new Worker[threads - 1];
    tickets = new AtomicLongArray(threads * PADDING);
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i + 1);
      workers[i].start();
    }
  }

  /** Threads that compute, the caller included. */
  public int threads() {
    return workers.length + 1;
  }

  /**
   * Runs {@code task} over items 0 to {@code items − 1}, in chunks of {@code grain} items (the last
   * may be shorter), and returns when all are done.
   *
   * <p>What a task throws on any thread, errors included, is thrown here; the remaining chunks are
   * then skipped. An {@link InternalError} for a mapped page that is gone may reach a worker late;
   * the next call then throws it.
   *
   * @throws IllegalStateException if the pool is closed, or if a task calls this
   */
  public synchronized void run(int items, int grain, Task task) {
    if (closed || running) {
      throw new IllegalStateException(closed ? "the pool is closed" : "a task cannot start a loop");
    }
    if (items < 0 || grain < 1) {
      throw new IllegalArgumentException(items + " items in chunks of " + grain);
    }
    if (items == 0) {
      return;
    }
    running = true;
    try {
      this.task = task;
      this.items = items;
      this.grain = grain;
      chunks = (items - 1) / grain + 1;
      pending.set(chunks);
      loop++;
      for (int i = 0; i < threads(); i++) {
        tickets.set(i * PADDING, (loop << Integer.SIZE) | (firstChunk(i + 1) - firstChunk(i)));
      }
      int helpers = Math.min(workers.length, chunks - 1);
      for (int i = 0; i < helpers; i++) {
        workers[i].wake();
      }
      work(0);
      awaitAll();
    } finally {
      running = false;
    }
    rethrow(failure.getAndSet(null));
  }

  private static void rethrow(@Nullable Throwable thrown) {
    switch (thrown) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException("a task threw a checked exception", e);
    }
  }

  /** The first chunk of a thread's range. */
  private int firstChunk(int thread) {
    return (int) ((long) chunks * thread / threads());
  }

  /** Takes chunks until none is left. */
  private void work(int thread) {
    int finished = 0;
    boolean more = true;
    while (more) {
      try {
        int chunk = take(thread);
        more = chunk >= 0;
        if (more) {
          finished++;
          if (failure.get() == null) {
            int from = chunk * grain;
            task.run(from, from + Math.min(grain, items - from), thread);
          }
        }
      } catch (Throwable e) {
        failure.compareAndSet(null, e);
      }
    }
    if (finished > 0 && pending.addAndGet(-finished) == 0) {
      Thread caller = waitingCaller.get();
      if (caller != null) {
        LockSupport.unpark(caller);
      }
    }
  }

  /** Takes a chunk, of a thread's own range if there is one, and returns it, or −1 for none. */
  private int take(int thread) {
    for (int i = 0; i < threads(); i++) {
      int owner = (thread + i) % threads();
      long seen = tickets.get(owner * PADDING);
      while ((int) seen != 0) {
        if (tickets.weakCompareAndSetVolatile(owner * PADDING, seen, seen - 1)) {
          return firstChunk(owner + 1) - (int) seen;
        }
        seen = tickets.get(owner * PADDING);
      }
    }
    return -1;
  }

  private void awaitAll() {
    if (spinUntilDone()) {
      return;
    }
    waitingCaller.set(Thread.currentThread());
    while (pending.get() != 0) {
      LockSupport.park(this);
    }
    waitingCaller.set(null);
  }

  private boolean spinUntilDone() {
    long start = System.nanoTime();
    while (pending.get() != 0) {
      if (!spin || System.nanoTime() - start > SPIN_NANOS) {
        return false;
      }
      Thread.onSpinWait();
    }
    return true;
  }

  /** Ends the workers and waits for them. Twice does nothing. */
  @Override
  public synchronized void close() {
    if (running) {
      throw new IllegalStateException("a task cannot close its pool");
    }
    closed = true;
    boolean interrupted = false;
    for (Worker worker : workers) {
      worker.wake();
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private final class Worker extends Thread {
    private final int index;
    private volatile boolean parked;

    Worker(int index) {
      super("jacquard-worker-" + index);
      this.index = index;
      setDaemon(true);
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    @Override
    public void run() {
      while (!closed) {
        try {
          work(index);
          awaitWork();
        } catch (Throwable e) {
          // A fault of a mapped page may be raised after the access; the next loop reports it.
          failure.compareAndSet(null, e);
        }
      }
    }

    private void awaitWork() {
      long start = System.nanoTime();
      while (spin && System.nanoTime() - start < SPIN_NANOS) {
        if (hasWork()) {
          return;
        }
        Thread.onSpinWait();
      }
      parked = true;
      while (!hasWork()) {
        LockSupport.park(WorkerPool.this);
      }
      parked = false;
    }

    private boolean hasWork() {
      boolean any = closed;
      for (int i = 0; i < threads() && !any; i++) {
        any = (int) tickets.get(i * PADDING) != 0;
      }
      return any;
    }
  }
}
