package dev.jacquard.kernels;

import org.jspecify.annotations.Nullable;

/**
 * A compiled program: weights in the backend's own layout and buffers for activations. Used by one
 * thread at a time; {@link #run} returns when the step is done and allocates next to nothing.
 *
 * <p>The bits of a row's result depend on its sequence only: not on the number of threads, the
 * other rows of the step, or how a prompt was cut into steps.
 */
public interface Executable extends AutoCloseable {
  /** Told after each op (or fused run of ops, with its last index) while a program is examined. */
  interface Observer {
    /** {@code op}, at {@code index} of the program, has just written its slots. */
    void after(int index, Op op);
  }

  /**
   * Runs one step.
   *
   * @param kv storage that this backend allocated for this program's {@link KvSpec}
   * @param observer told after each op, or null
   * @throws BackendException if the device fails; the storage's content is then unknown
   */
  void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer);

  /** Copies row {@code row} of a slot, as the last step left it, to {@code target[offset …]}. */
  void read(Slot slot, int row, float[] target, int offset);

  /**
   * Replaces row {@code row} of a slot by {@code source[offset …]}, the counterpart of {@link
   * #read}. An {@link Observer} may call it after the op that wrote the slot: the ops that follow
   * read what is there then. Only for examinations; a step without an observer has no such moment.
   */
  void write(Slot slot, int row, float[] source, int offset);

  /**
   * What was chosen last for {@code list}. An {@link Observer} may change it after the op that
   * wrote it: the attention that follows reads what is there then. Only for examinations; a step
   * without an observer has no such moment.
   */
  PageSelection pages(PageList list);

  /** What the attention of the last step read, by row. */
  AttentionReport attention();

  /** What the feed-forward layers of the last step computed, by row. */
  FeedForwardReport feedForward();

  /** Which logits the head computed in the last step, by output row. */
  HeadReport head();

  /**
   * Computes the logits that rules left out in the last step, as if its outputs had been {@link
   * HeadRule#DENSE}; what was read before stays counted. Nothing may have been written to a slot
   * since.
   */
  void completeHead();

  /** Bytes of weights that a step of one row with one output reads if nothing is left out. */
  long weightBytesPerStep();

  /**
   * Bytes of memory outside the heap that this executable holds itself (repacked weights, buffers).
   */
  long ownBytes();

  /** Frees what it owns; the weights' own memory belongs to the model file. Twice does nothing. */
  @Override
  void close();
}
