package dev.jacquard.kernels.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerPoolTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void everyItemRunsExactlyOnce(int threads) {
    try (WorkerPool pool = new WorkerPool(threads)) {
      for (int items : new int[] {0, 1, 2, 7, 64, 1000}) {
        for (int grain : new int[] {1, 3, 16, 5000}) {
          AtomicIntegerArray seen = new AtomicIntegerArray(items);
          AtomicIntegerArray busy = new AtomicIntegerArray(threads);
          pool.run(
              items,
              grain,
              (from, to, thread) -> {
                assertEquals(1, busy.incrementAndGet(thread), "two tasks share a thread index");
                assertTrue(from < to && to - from <= grain && from % grain == 0);
                for (int i = from; i < to; i++) {
                  seen.incrementAndGet(i);
                }
                busy.decrementAndGet(thread);
              });
          for (int i = 0; i < items; i++) {
            assertEquals(1, seen.get(i));
          }
        }
      }
    }
  }

  @Test
  void resultsOfWorkersAreVisibleToTheCallerLoopAfterLoop() {
    try (WorkerPool pool = new WorkerPool(4)) {
      int[] values = new int[50];
      for (int round = 1; round <= 20_000; round++) {
        pool.run(
            values.length,
            7,
            (from, to, thread) -> {
              for (int i = from; i < to; i++) {
                values[i]++;
              }
            });
        assertEquals(round, values[round % values.length]);
      }
    }
  }

  @Test
  void workersThatHaveParkedWakeUp() throws InterruptedException {
    try (WorkerPool pool = new WorkerPool(3)) {
      for (int round = 0; round < 5; round++) {
        LockSupport.parkNanos(20_000_000);
        CountDownLatch all = new CountDownLatch(3);
        pool.run(
            3,
            1,
            (from, to, thread) -> {
              all.countDown();
              await(all);
            });
        assertEquals(0, all.getCount());
      }
    }
  }

  @Test
  void theFirstThrowableReachesTheCallerAndThePoolGoesOn() {
    try (WorkerPool pool = new WorkerPool(2)) {
      InternalError gone = new InternalError("a page is gone");
      for (int failing = 0; failing < 6; failing++) {
        int chunk = failing;
        InternalError thrown =
            assertThrows(
                InternalError.class,
                () ->
                    pool.run(
                        6,
                        1,
                        (from, to, thread) -> {
                          if (from == chunk) {
                            throw gone;
                          }
                        }));
        assertSame(gone, thrown);
        AtomicInteger count = new AtomicInteger();
        pool.run(6, 1, (from, to, thread) -> count.incrementAndGet());
        assertEquals(6, count.get());
      }
    }
  }

  @Test
  void callersTakeTurns() throws InterruptedException {
    try (WorkerPool pool = new WorkerPool(2)) {
      AtomicInteger loops = new AtomicInteger();
      AtomicInteger count = new AtomicInteger();
      List<Thread> callers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        callers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int round = 0; round < 500; round++) {
                        pool.run(9, 2, (from, to, thread) -> count.addAndGet(to - from));
                        loops.incrementAndGet();
                      }
                    }));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      assertEquals(2000, loops.get());
      assertEquals(18_000, count.get());
    }
  }

  @Test
  void anInterruptedCallerStillWaitsAndStaysInterrupted() {
    try (WorkerPool pool = new WorkerPool(2)) {
      AtomicInteger count = new AtomicInteger();
      Thread.currentThread().interrupt();
      pool.run(
          2,
          1,
          (from, to, thread) -> {
            long end = System.nanoTime() + 5_000_000;
            while (System.nanoTime() < end) {
              Thread.onSpinWait();
            }
            count.incrementAndGet();
          });
      assertEquals(2, count.get());
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void aTaskCannotStartALoopOnItsOwnPool() {
    try (WorkerPool pool = new WorkerPool(1)) {
      assertThrows(
          IllegalStateException.class,
          () -> pool.run(1, 1, (from, to, thread) -> pool.run(1, 1, (f, t, n) -> {})));
    }
  }

  @Test
  void closingEndsTheThreadsAndTwiceDoesNothing() {
    WorkerPool pool = new WorkerPool(3);
    List<Thread> workers = new ArrayList<>();
    CountDownLatch all = new CountDownLatch(3);
    pool.run(
        3,
        1,
        (from, to, thread) -> {
          synchronized (workers) {
            workers.add(Thread.currentThread());
          }
          all.countDown();
          await(all);
        });
    pool.close();
    pool.close();
    workers.remove(Thread.currentThread());
    assertEquals(2, workers.size());
    workers.forEach(worker -> assertFalse(worker.isAlive()));
    assertThrows(IllegalStateException.class, () -> pool.run(1, 1, (from, to, thread) -> {}));
  }

  @Test
  void wrongArgumentsAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new WorkerPool(0));
    try (WorkerPool pool = new WorkerPool(1)) {
      assertThrows(IllegalArgumentException.class, () -> pool.run(-1, 1, (f, t, n) -> {}));
      assertThrows(IllegalArgumentException.class, () -> pool.run(1, 0, (f, t, n) -> {}));
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
