package dev.jacquard.session;

import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvCacheFullException;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.ModelFile;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs the jobs of all sessions of a model, step by step. Its thread is the only one that touches
 * executable, cache and step inputs; others send it commands, which it carries out between steps.
 *
 * <p>A step (continuous batching, Yu et al., "Orca", OSDI 2022) takes one row of each job that has
 * a single token to compute, and fills up with longer prompts in chunks. Who was left out comes
 * first next time. A job whose reader has no room is left out; the engine never waits for one.
 *
 * <p>Tests make {@link #doWork} steps by hand, without {@link #start}.
 */
final class Engine implements AutoCloseable {
  private static final System.Logger LOGGER = System.getLogger(Engine.class.getName());
  private static final int COMMANDS = 64;

  private final ModelFile file;
  private final Executable executable;
  private final KvCache cache;
  private final Sketching sketching;
  private final StepInputs inputs;
  private final int maxOutputs;
  private final StepLogits logits;
  private final Thread thread =
      Thread.ofPlatform().daemon().name("jacquard-engine").unstarted(this::run);
  private final BlockingQueue<Runnable> commands = new ArrayBlockingQueue<>(COMMANDS);

  /** Who was left out longest stands first. */
  private final List<Job> jobs = new ArrayList<>();

  private final List<Job> step = new ArrayList<>();
  private final Set<Session> sessions = new HashSet<>();
  private boolean saidNotSketched;
  private volatile boolean closed;

  /**
   * An engine; whoever opened file, executable and cache closes them after it.
   *
   * @param logits where the program leaves its result
   * @param batchSize most rows of a step
   * @param maxOutputs most output rows of a step
   */
  Engine(
      ModelFile file,
      Executable executable,
      KvCache cache,
      Sketching sketching,
      Slot logits,
      int batchSize,
      int maxOutputs) {
    this.file = file;
    this.executable = executable;
    this.cache = cache;
    this.sketching = sketching;
    this.maxOutputs = maxOutputs;
    this.logits = new StepLogits(executable, logits);
    inputs = new StepInputs(batchSize, cache.storage().spec().groupWindows().size());
  }

  void start() {
    thread.start();
  }

  /** Who sees to sketches; engine thread. */
  Sketching sketching() {
    return sketching;
  }

  KvCache cache() {
    return cache;
  }

  /** Lets the engine look for work; any thread, after what it shall see is visible. */
  void wake() {
    LockSupport.unpark(thread);
  }

  /** Whether it takes no more work; any thread. */
  boolean closed() {
    return closed;
  }

  /**
   * Sends a job.
   *
   * @throws IllegalStateException if the engine is closed
   */
  void submit(Job job) {
    send(() -> begin(job));
  }

  /**
   * Has the engine thread carry out a command, and waits for its result.
   *
   * @throws IllegalStateException if the engine is closed
   */
  <T> T call(Supplier<T> command) {
    try {
      return CompletableFuture.supplyAsync(command, this::send).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** Sends a command; waits only while the queue is full, which is emptied between steps. */
  private void send(Runnable command) {
    boolean interrupted = false;
    while (true) {
      try {
        commands.put(command);
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (closed && commands.remove(command)) {
      throw new IllegalStateException("the model is closed");
    }
    wake();
  }

  private void begin(Job job) {
    if (job.session().closed()) {
      job.end(FinishReason.CANCELLED, null);
      return;
    }
    sessions.add(job.session());
    try {
      FinishReason reason = job.begin();
      if (reason == null) {
        jobs.add(job);
      } else {
        job.end(reason, null);
      }
    } catch (RuntimeException | Error e) {
      job.end(FinishReason.ERROR, e);
    }
  }

  /** Takes note of a session that has cached content; engine thread. */
  void add(Session session) {
    sessions.add(session);
  }

  /** Ends what a session does, frees its cache, and waits for that; any thread. */
  void release(Session session) {
    try {
      call(
          () -> {
            remove(session);
            return session;
          });
    } catch (IllegalStateException e) {
      if (!closed) { // a closed engine has released all sessions
        throw e;
      }
    }
  }

  private void remove(Session session) {
    for (Job job : jobs) {
      if (job.session() == session) {
        job.end(FinishReason.CANCELLED, null);
      }
    }
    session.sequence().forgetAll();
    sessions.remove(session);
  }

  /** Carries out commands and at most one step; returns how much there was to do. */
  int doWork() {
    int work = commands();
    for (Job job : jobs) {
      if (job.cancelled()) {
        job.end(FinishReason.CANCELLED, null);
      }
    }
    jobs.removeIf(Job::ended);
    if (jobs.isEmpty()) {
      return work;
    }
    try {
      sketching.prepare(jobs, () -> closed);
    } catch (RuntimeException | Error e) { // steps of its own failed
      stepFailed(e);
      return work;
    }
    plan();
    if (inputs.rows() > 0) {
      runStep();
    }
    return work + inputs.rows();
  }

  private int commands() {
    int count = 0;
    for (Runnable command = commands.poll(); command != null; command = commands.poll()) {
      command.run();
      count++;
    }
    return count;
  }

  private void plan() {
    inputs.clear();
    step.clear();
    plan(true);
    plan(false);
    if (step.size() < jobs.size()) {
      jobs.removeAll(step);
      jobs.addAll(step);
    }
  }

  private void plan(boolean single) {
    for (int i = 0; i < jobs.size() && inputs.rows() < inputs.maxRows(); i++) {
      Job job = jobs.get(i);
      if ((job.pending() == 1) == single && job.ready()) {
        try {
          if (job.plan(inputs, inputs.maxRows() - inputs.rows(), maxOutputs - inputs.outputs())) {
            step.add(job);
          }
        } catch (KvCacheFullException e) {
          job.end(FinishReason.ERROR, e);
        }
      }
    }
  }

  private void runStep() {
    long started = System.nanoTime();
    sayWhatIsNotSketched();
    try {
      file.requireIntact(); // a system call of a microsecond
      executable.run(inputs, cache.storage(), observer());
    } catch (RuntimeException | Error e) { // InternalError: a page of the mapped file is gone
      stepFailed(e);
      return;
    }
    int output = 0;
    for (Job job : step) {
      try {
        AttentionEvent.record(job, logits);
        FinishReason reason = job.receive(logits, output, started);
        if (reason != null) {
          job.end(reason, null);
        }
      } catch (RuntimeException | Error e) {
        job.end(FinishReason.ERROR, e);
      }
      output += job.outputs();
    }
  }

  /** Says once that a class which needs sketches is asked for and there are none. */
  private void sayWhatIsNotSketched() {
    if (saidNotSketched) {
      return;
    }
    for (int s = 0; s < inputs.sequences(); s++) {
      if (needsSketches(inputs.exactness(s)) && !sketched()) {
        saidNotSketched = true;
        LOGGER.log(
            Level.WARNING,
            "attention is dense where it should estimate: this model has no calibrated sketches;"
                + " make them with 'jacquard calibrate'");
        return;
      }
    }
  }

  private static boolean needsSketches(Exactness exactness) {
    return switch (exactness) {
      case Exactness.Dense _, Exactness.Certified _ -> false;
      case Exactness.Verified _, Exactness.Budgeted _ -> true;
    };
  }

  /** Whether all layers without a window are sketched. */
  private boolean sketched() {
    KvStorage storage = cache.storage();
    List<KvSpec.Layer> layers = storage.spec().layers();
    for (int layer = 0; layer < layers.size(); layer++) {
      if (layers.get(layer).window() == 0 && !storage.sketched(layer)) {
        return false;
      }
    }
    return true;
  }

  /** What tells the jobs that record about each op, or null: steps are faster unobserved. */
  private Executable.@Nullable Observer observer() {
    List<Job> recording = step.stream().filter(Job::recording).toList();
    recording.forEach(Job::beforeStep);
    return recording.isEmpty()
        ? null
        : (index, op) -> recording.forEach(job -> job.afterOp(index, executable));
  }

  /**
   * What the cache holds is unknown now: whatever runs ends and its session is closed; idle
   * sessions compute their tokens again when they are used.
   */
  private void stepFailed(Throwable error) {
    LOGGER.log(Level.DEBUG, "a step failed", error); // readers are told
    for (Job job : jobs) {
      job.session().fail(error);
      job.end(FinishReason.ERROR, error);
    }
    for (Session session : sessions) {
      session.sequence().forgetAll();
    }
    sessions.removeIf(Session::closed);
  }

  private void run() {
    Throwable failure = null;
    try {
      while (!closed) {
        if (doWork() == 0) {
          LockSupport.park(this);
        }
      }
    } catch (RuntimeException | Error e) {
      LOGGER.log(Level.ERROR, "the engine stopped; close the model and open it again", e);
      failure = e;
    } finally {
      shutDown(failure);
    }
  }

  private void shutDown(@Nullable Throwable failure) {
    closed = true;
    commands();
    for (Job job : jobs) {
      job.end(failure == null ? FinishReason.CANCELLED : FinishReason.ERROR, failure);
    }
    jobs.clear();
    for (Session session : sessions) {
      session.sequence().forgetAll();
    }
    sessions.clear();
  }

  /** Ends everything and stops the thread. Twice does nothing. */
  @Override
  public void close() {
    closed = true;
    if (thread.getState() == Thread.State.NEW) {
      shutDown(null);
      return;
    }
    wake();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
