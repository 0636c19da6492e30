package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.StepInputs;
import org.jspecify.annotations.Nullable;

/**
 * Work of one session: its ids that are not cached yet run through the model, and somebody wants
 * outputs. Everything but {@link #cancel} happens on the engine thread.
 */
abstract sealed class Job permits Generation, Evaluation {
  private final Session session;
  private volatile boolean cancelled;
  private boolean ended;
  private int firstRow;
  private int rows;
  private int placed;
  private int outputs;

  Job(Session session) {
    this.session = session;
  }

  final Session session() {
    return session;
  }

  final TokenSequence sequence() {
    return session.sequence();
  }

  /** Ids that are not cached. */
  final int pending() {
    return sequence().length() - sequence().cached();
  }

  /** Asks for the end; any thread. The engine must be woken. */
  final void cancel() {
    cancelled = true;
  }

  final boolean cancelled() {
    return cancelled;
  }

  /** Prepares the first step; a reason if there is nothing to compute. */
  abstract @Nullable FinishReason begin();

  /** How closely the rows of its next step read. */
  abstract AttentionPolicy policy();

  /** Which logits of its output rows are computed. */
  HeadRule headRule() {
    return HeadRule.DENSE;
  }

  /** Whether its next steps read sketches of keys, if there are any. */
  final boolean readsSketches() {
    return switch (policy().exactness(sequence().length())) {
      case Exactness.Dense _, Exactness.Certified _ -> false;
      case Exactness.Verified _, Exactness.Budgeted _ -> true;
    };
  }

  /** Whether the reader has room for what a step would bring. */
  abstract boolean ready();

  /** Position of the first token whose output is wanted. */
  abstract int firstOutput();

  /** Most outputs of one step that the reader can take. */
  abstract int maxOutputs();

  /**
   * Puts the next rows into a step. Stored keys and values that come before them are placed first.
   *
   * @return whether there were any rows
   */
  final boolean plan(StepInputs inputs, int maxRows, int maxOutputsLeft) {
    if (pending() == 0) {
      return false; // its row is part of the step already
    }
    TokenSequence sequence = sequence();
    placed = sequence.place();
    firstRow = inputs.rows();
    int from = sequence.cached();
    int to = Math.min(sequence.computable(), from + maxRows);
    int firstOutput = Math.max(from, firstOutput());
    int wanted = Math.min(to - firstOutput, Math.min(maxOutputs(), maxOutputsLeft));
    if (to > firstOutput) {
      to = firstOutput + wanted;
    }
    if (to <= from) {
      return false;
    }
    rows = to - from;
    outputs = Math.max(0, wanted);
    sequence.append(inputs, to, outputs, policy());
    inputs.setHead(inputs.sequences() - 1, headRule());
    return true;
  }

  /** The first of its rows in the present step. */
  final int firstRow() {
    return firstRow;
  }

  /** Tokens whose stored keys and values were placed before the present step. */
  final int placed() {
    return placed;
  }

  /** Rows in the present step. */
  final int rows() {
    return rows;
  }

  /** How many of the {@link #rows}, the last ones, have outputs. */
  final int outputs() {
    return outputs;
  }

  /** Whether it wants to see what each op of a step computes. */
  boolean recording() {
    return false;
  }

  /** A step with its rows begins; told to those that record. */
  void beforeStep() {}

  /** An op of the step has written its slots; told to those that record. Must not throw. */
  void afterOp(int index, Executable executable) {}

  /**
   * Takes what a step brought.
   *
   * @param first row of the logits that holds the first of this job's outputs
   * @param started {@link System#nanoTime} at the beginning of the step
   * @return why the job is complete, or null if it goes on
   */
  abstract @Nullable FinishReason receive(StepLogits logits, int first, long started);

  final boolean ended() {
    return ended;
  }

  /** Ends the job, once: the session is free for the next call, then the reader is told. */
  final void end(FinishReason reason, @Nullable Throwable error) {
    if (!ended) {
      ended = true;
      session.endTurn();
      tellEnd(reason, error);
    }
  }

  abstract void tellEnd(FinishReason reason, @Nullable Throwable error);
}
