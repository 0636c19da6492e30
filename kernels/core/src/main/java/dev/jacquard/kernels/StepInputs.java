package dev.jacquard.kernels;

import java.util.ArrayList;
import java.util.List;

/**
 * All that changes from step to step: the rows of a batch, where their keys and values go, what
 * each sequence sees, and whose outputs are wanted. Flat, reusable, filled by one thread and read
 * by the backend while it runs.
 *
 * <p>A row is (sequence, position, token, output wanted). Rows of one sequence stand together in
 * ascending position. Each sequence has one {@link KvView} per group of layers, which already
 * includes the rows of this step.
 */
public final class StepInputs {
  private final int groups;
  private final int[] tokens;
  private final int[] positions;
  private final int[] sequences;
  private final int[] outputRows;
  private final int[][] writePages;
  private final int[][] writeOffsets;
  private final List<KvView[]> views = new ArrayList<>();
  private final List<Exactness> exactness = new ArrayList<>();
  private final List<NeuronRule> neurons = new ArrayList<>();
  private final List<HeadRule> heads = new ArrayList<>();
  private int rows;
  private int outputs;
  private int sequenceCount;

  /**
   * Buffers for steps of up to {@code maxRows} rows.
   *
   * @param groups groups of layers of the model's {@link KvSpec}
   */
  public StepInputs(int maxRows, int groups) {
    this.groups = groups;
    tokens = new int[maxRows];
    positions = new int[maxRows];
    sequences = new int[maxRows];
    outputRows = new int[maxRows];
    writePages = new int[groups][maxRows];
    writeOffsets = new int[groups][maxRows];
  }

  /** Starts a new step. */
  public void clear() {
    rows = 0;
    outputs = 0;
    sequenceCount = 0;
  }

  /**
   * Adds a sequence and returns its index in this step; its views are empty, nothing is left out.
   */
  public int addSequence() {
    if (sequenceCount == views.size()) {
      KvView[] fresh = new KvView[groups];
      for (int g = 0; g < groups; g++) {
        fresh[g] = new KvView();
      }
      views.add(fresh);
      exactness.add(Exactness.DENSE);
      neurons.add(NeuronRule.ALL);
      heads.add(HeadRule.DENSE);
    }
    exactness.set(sequenceCount, Exactness.DENSE);
    neurons.set(sequenceCount, NeuronRule.ALL);
    heads.set(sequenceCount, HeadRule.DENSE);
    for (KvView view : views.get(sequenceCount)) {
      view.clear();
    }
    return sequenceCount++;
  }

  /** Says how closely the rows of a sequence read what they see. */
  public void setExactness(int sequence, Exactness wanted) {
    exactness.set(sequence, wanted);
  }

  /** Says which neurons count for the rows of a sequence. */
  public void setNeurons(int sequence, NeuronRule wanted) {
    neurons.set(sequence, wanted);
  }

  /** Says which logits of a sequence's output rows are computed. */
  public void setHead(int sequence, HeadRule wanted) {
    heads.set(sequence, wanted);
  }

  /** Adds a row and returns its index; its write places must be set for every group. */
  public int addRow(int sequence, int position, int token, boolean output) {
    int row = rows++;
    tokens[row] = token;
    positions[row] = position;
    sequences[row] = sequence;
    if (output) {
      outputRows[outputs++] = row;
    }
    return row;
  }

  /** Says where the keys and values of {@code row} go in {@code group}. */
  public void setWrite(int group, int row, int page, int offset) {
    writePages[group][row] = page;
    writeOffsets[group][row] = offset;
  }

  /** Most rows of a step. */
  public int maxRows() {
    return tokens.length;
  }

  /** Rows of this step. */
  public int rows() {
    return rows;
  }

  /** Rows whose output is wanted. */
  public int outputs() {
    return outputs;
  }

  /** Sequences of this step. */
  public int sequences() {
    return sequenceCount;
  }

  /** Token id of a row. */
  public int token(int row) {
    return tokens[row];
  }

  /** Position of a row in its sequence. */
  public int position(int row) {
    return positions[row];
  }

  /** Sequence index of a row. */
  public int sequence(int row) {
    return sequences[row];
  }

  /** Row of output {@code i}. */
  public int outputRow(int i) {
    return outputRows[i];
  }

  /** Page that the row is written to. */
  public int writePage(int group, int row) {
    return writePages[group][row];
  }

  /** Offset in that page, 0 to {@link KvStorage#PAGE_TOKENS} − 1. */
  public int writeOffset(int group, int row) {
    return writeOffsets[group][row];
  }

  /** How closely the rows of a sequence read. */
  public Exactness exactness(int sequence) {
    return exactness.get(sequence);
  }

  /** Which neurons count for the rows of a sequence. */
  public NeuronRule neurons(int sequence) {
    return neurons.get(sequence);
  }

  /** Which logits of a sequence's output rows are computed. */
  public HeadRule head(int sequence) {
    return heads.get(sequence);
  }

  /** What a sequence sees in a group. */
  public KvView view(int sequence, int group) {
    return views.get(sequence)[group];
  }
}
