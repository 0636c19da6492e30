package dev.jacquard.kernels;

/**
 * Which logits the head computed for each output row of a step. Written by the backend while a step
 * runs; valid until the next.
 */
public final class HeadReport {
  private final Row[] rows;

  /**
   * A report for steps of up to {@code maxOutputs} output rows.
   *
   * @param vocabulary number of logits
   */
  public HeadReport(int maxOutputs, int vocabulary) {
    rows = new Row[maxOutputs];
    for (int i = 0; i < maxOutputs; i++) {
      rows[i] = new Row(vocabulary);
    }
  }

  /** What is known of output row {@code i}. */
  public Row row(int i) {
    return rows[i];
  }

  /** One output row. */
  public static final class Row {
    private final int vocabulary;
    private int[] candidates = new int[0];
    private float[] logits = new float[0];
    private int count;
    private boolean dense;
    private long bytes;
    private long bytesDense;

    private Row(int vocabulary) {
      this.vocabulary = vocabulary;
    }

    /** All logits are computed. */
    public void setDense(long bytesRead) {
      setDense(bytesRead, bytesRead);
    }

    /**
     * All logits are computed, after some had been read in vain.
     *
     * @param bytesRead bytes of the matrix that were read
     * @param allBytes bytes that DENSE reads
     */
    public void setDense(long bytesRead, long allBytes) {
      dense = true;
      count = vocabulary;
      bytes = bytesRead;
      bytesDense = allBytes;
    }

    /**
     * Only some logits are computed: the others are {@link Float#NEGATIVE_INFINITY} in the slot.
     *
     * @param ids the first {@code size} are the tokens whose logits are computed, ascending; copied
     * @param values their logits; copied
     * @param bytesRead bytes of the matrix that were read
     * @param allBytes bytes that DENSE reads
     */
    public void setCandidates(int[] ids, float[] values, int size, long bytesRead, long allBytes) {
      if (candidates.length < size) {
        int room = Math.min(vocabulary, Math.max(size, 2 * candidates.length));
        candidates = new int[room];
        logits = new float[room];
      }
      System.arraycopy(ids, 0, candidates, 0, size);
      System.arraycopy(values, 0, logits, 0, size);
      count = size;
      dense = false;
      bytes = bytesRead;
      bytesDense = allBytes;
    }

    /** Whether all logits are computed. */
    public boolean dense() {
      return dense;
    }

    /** How many logits are computed. */
    public int count() {
      return count;
    }

    /** The i-th token whose logit is computed, in ascending order. */
    public int candidate(int i) {
      return dense ? i : candidates[i];
    }

    /** The logit of the i-th candidate; only where not all are computed. */
    public float logit(int i) {
      if (dense) {
        throw new IllegalStateException("all logits are in their slot");
      }
      return logits[i];
    }

    /** Bytes of the matrix that were read; more than all if a first look was in vain. */
    public long bytes() {
      return bytes;
    }

    /** Bytes that DENSE reads. */
    public long bytesDense() {
      return bytesDense;
    }
  }
}
