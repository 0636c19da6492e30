package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kvstore.KvRecorder;
import dev.jacquard.kvstore.KvStoreException;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.neurons.NeuronStatistics;
import dev.jacquard.sampling.NonFiniteLogitsException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.jspecify.annotations.Nullable;

/**
 * Tokens whose logits go to the calling thread: the engine fills one batch of buffers while the
 * caller reads the other.
 */
final class Evaluation extends Job {
  private static final class Batch {
    private final float[][] rows;
    private int firstPosition;
    private int count;

    Batch(int size, int vocabulary) {
      rows = new float[size][vocabulary];
    }
  }

  private static final Batch END = new Batch(0, 0);
  private static final int BATCHES = 2;

  private final int firstOutput;
  private final int batchRows;
  private final AttentionPolicy policy;
  private final AttentionTally attention = new AttentionTally();
  private final @Nullable KvRecorder recorder;
  private final NeuronRule neurons;
  private final @Nullable NeuronStatistics gathering;
  private final BlockingQueue<Batch> free = new ArrayBlockingQueue<>(BATCHES);
  private final BlockingQueue<Batch> full = new ArrayBlockingQueue<>(BATCHES + 1);
  private final Runnable wakeEngine;
  private FinishReason reason = FinishReason.CANCELLED;
  private @Nullable Throwable error;

  /**
   * An evaluation of the session's ids.
   *
   * @param firstOutput position of the first token whose logits are wanted
   * @param outputs number of them
   * @param policy how closely it reads
   * @param recorder looks on as keys and values are computed, or null
   * @param neurons which neurons count
   * @param gathering looks on as hidden values are computed, or null
   */
  Evaluation(
      Session session,
      Model model,
      int firstOutput,
      int outputs,
      AttentionPolicy policy,
      @Nullable KvRecorder recorder,
      NeuronRule neurons,
      @Nullable NeuronStatistics gathering) {
    super(session);
    this.neurons = neurons;
    this.gathering = gathering;
    this.firstOutput = firstOutput;
    this.policy = policy;
    this.recorder = recorder;
    // Half of what a step may have, so that both batches together stay within the same memory.
    batchRows = Math.min(outputs, Math.max(1, model.maxOutputs() / BATCHES));
    for (int i = 0; i < BATCHES && i * batchRows < outputs; i++) {
      free.add(new Batch(batchRows, model.vocabulary()));
    }
    wakeEngine = model.engine()::wake;
  }

  @Override
  @Nullable FinishReason begin() {
    return pending() == 0 ? FinishReason.LENGTH : null;
  }

  @Override
  AttentionPolicy policy() {
    return policy;
  }

  @Override
  NeuronRule neurons() {
    return neurons;
  }

  /** What attention read; once all was handed over. */
  AttentionStatistics.Reading attention() {
    return attention.reading();
  }

  @Override
  boolean ready() {
    return true; // without a free batch, rows before the first output can still be computed
  }

  @Override
  int firstOutput() {
    return firstOutput;
  }

  @Override
  int maxOutputs() {
    return free.isEmpty() ? 0 : batchRows;
  }

  @Override
  boolean recording() {
    return recorder != null || gathering != null;
  }

  @Override
  void beforeStep() {
    if (recorder != null) {
      recorder.begin(firstRow(), sequence().cached() - rows(), rows());
    }
  }

  @Override
  void afterOp(int index, Executable executable) {
    if (recorder != null) {
      recorder.after(index, executable);
    }
    if (gathering != null) {
      gathering.add(index, executable, firstRow(), rows(), 1);
    }
  }

  @Override
  @Nullable FinishReason receive(StepLogits logits, int first, long started) {
    if (recorder != null) {
      recorder.end();
    }
    attention.add(this, logits);
    if (outputs() > 0) {
      Batch batch = free.remove();
      batch.firstPosition = sequence().cached() - outputs();
      batch.count = outputs();
      for (int i = 0; i < batch.count; i++) {
        logits.read(first + i, batch.rows[i]);
        requireFinite(batch.rows[i]);
      }
      full.add(batch);
    }
    return pending() == 0 ? FinishReason.LENGTH : null;
  }

  private static void requireFinite(float[] logits) {
    for (int id = 0; id < logits.length; id++) {
      if (!Float.isFinite(logits[id])) {
        throw new NonFiniteLogitsException(id, logits[id]);
      }
    }
  }

  @Override
  void tellEnd(FinishReason why, @Nullable Throwable failure) {
    reason = why;
    error = failure;
    full.add(END);
  }

  /**
   * Hands the logits over as they come; calling thread. Returns or throws when the engine is done
   * with this job.
   */
  void handOver(Session.LogitsConsumer consumer) {
    boolean ended = false;
    try {
      while (true) {
        Batch batch = full.take();
        if (batch.count == 0) {
          ended = true;
          break;
        }
        for (int i = 0; i < batch.count; i++) {
          consumer.accept(batch.firstPosition + i, batch.rows[i]);
        }
        free.add(batch);
        wakeEngine.run();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new JacquardException("interrupted while waiting for logits", e);
    } finally {
      if (!ended) {
        cancel();
        wakeEngine.run();
        awaitEnd();
      }
    }
    if (reason == FinishReason.CANCELLED) {
      throw new IllegalStateException("the session was closed while it evaluated");
    }
    if (error != null) {
      if (error instanceof KvStoreException stored) {
        throw stored;
      }
      throw new JacquardException("the evaluation failed: " + error.getMessage(), error);
    }
  }

  private void awaitEnd() {
    boolean interrupted = false;
    while (true) {
      try {
        if (full.take().count == 0) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
