package dev.jacquard.kernels;

import java.util.Arrays;

/**
 * What the attention of a step read and what it can say about its error, for each row, all layers
 * together. Layers with a window count as read whole. Written by the backend while a step runs;
 * valid until the next.
 */
public final class AttentionReport {
  private final Row[] rows;

  /** A report for steps of up to {@code maxRows} rows. */
  public AttentionReport(int maxRows) {
    rows = new Row[maxRows];
    Arrays.setAll(rows, i -> new Row());
  }

  /** Forgets the first {@code count} rows. */
  public void clear(int count) {
    for (int i = 0; i < count; i++) {
      rows[i].clear();
    }
  }

  /** What is known of row {@code i}. */
  public Row row(int i) {
    return rows[i];
  }

  /** One row's sums. Bytes are those of the cache's format, whatever a backend's layout adds. */
  public static final class Row {
    private long bytesRead;
    private long bytesDense;
    private long fine;
    private long coarse;
    private long far;
    private long cases;
    private long escalated;
    private double boundSum;
    private double boundWorst;

    private Row() {}

    private void clear() {
      bytesRead = 0;
      bytesDense = 0;
      fine = 0;
      coarse = 0;
      far = 0;
      cases = 0;
      escalated = 0;
      boundSum = 0;
      boundWorst = 0;
    }

    /**
     * Adds what one key/value head of a layer read for this row.
     *
     * @param dense bytes that reading everything would have taken
     * @param tokensFine tokens read in 8 bits
     * @param tokensCoarse tokens whose value was read in 4 bits
     * @param tokensFar tokens that entered as the mean of their page
     */
    public void addReading(
        long bytes, long dense, long tokensFine, long tokensCoarse, long tokensFar) {
      bytesRead += bytes;
      bytesDense += dense;
      fine += tokensFine;
      coarse += tokensCoarse;
      far += tokensFar;
    }

    /** Adds the bound of one query head: {@code ‖o − o′‖ / diam(V)}. */
    public void addBound(double bound) {
      cases++;
      boundSum += bound;
      boundWorst = Math.max(boundWorst, bound);
    }

    /** Counts a query head that read everything because its audit failed. */
    public void addEscalation() {
      escalated++;
    }

    /** Bytes of the cache that were read. */
    public long bytesRead() {
      return bytesRead;
    }

    /** Bytes that DENSE reads. */
    public long bytesDense() {
      return bytesDense;
    }

    /** Tokens read in 8 bits, counted for each key/value head and layer. */
    public long fine() {
      return fine;
    }

    /** Tokens whose value was read in 4 bits. */
    public long coarse() {
      return coarse;
    }

    /** Tokens that entered as the mean of their page. */
    public long far() {
      return far;
    }

    /** Query heads and layers that gave a bound. */
    public long cases() {
      return cases;
    }

    /** Query heads that read everything because their audit failed. */
    public long escalated() {
      return escalated;
    }

    /** Sum of all bounds. */
    public double boundSum() {
      return boundSum;
    }

    /** The largest bound. */
    public double boundWorst() {
      return boundWorst;
    }
  }
}
