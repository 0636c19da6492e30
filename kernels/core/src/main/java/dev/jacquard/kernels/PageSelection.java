package dev.jacquard.kernels;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@link Op.SelectPages} writes and {@link Op.Attention} reads: for some rows and query heads,
 * which tokens are read and how. Rows that no slice covers are read whole. Flat arrays, so that a
 * device can hold the same; reused from step to step; one writer at a time.
 */
public final class PageSelection {
  private final List<Slice> slices = new ArrayList<>();
  private int size;

  /** An empty selection. */
  public PageSelection() {}

  /** Forgets all slices. */
  public void clear() {
    size = 0;
  }

  /**
   * Adds a slice of rows and query heads that read one key/value head; it names no token yet.
   *
   * @param view what the rows' sequence sees: its entries are what the slice speaks of
   */
  public Slice add(int firstRow, int rows, int firstHead, int heads, KvView view) {
    if (size == slices.size()) {
      slices.add(new Slice());
    }
    Slice slice = slices.get(size++);
    slice.begin(firstRow, rows, firstHead, heads, view);
    return slice;
  }

  /** Number of slices. */
  public int size() {
    return size;
  }

  /** Slice {@code i}. */
  public Slice slice(int i) {
    return slices.get(i);
  }

  /**
   * One list for {@link #rows} rows times {@link #heads} query heads. Every visible token of the
   * view is in one of four places, for all heads of the slice alike:
   *
   * <ul>
   *   <li>its bit in {@link #fine} is set: key and value are read in 8 bits;
   *   <li>its bit in {@link #coarse} is set: the value is read in its upper 4 bits;
   *   <li>its weight is part of {@link #far}: it enters as the mean of its page;
   *   <li>else it is left out.
   * </ul>
   *
   * <p>Bits beyond what a row may see (causality) are ignored by the reader.
   */
  public static final class Slice {
    private int firstRow;
    private int rows;
    private int firstHead;
    private int heads;
    private int entries;
    private char[] fine = {};
    private char[] coarse = {};
    private float[] far = {};
    private float[] farLog = {};
    private boolean hasFar;
    private float @Nullable [] scores;
    private int scoreStride;
    private float[] bound = {};
    private int samples;
    private int[] sampleToken = {};
    private float[] sampleLog = {};
    private float[] sampledLog = {};

    private Slice() {}

    private void begin(int row, int rowCount, int head, int headCount, KvView view) {
      firstRow = row;
      rows = rowCount;
      firstHead = head;
      heads = headCount;
      entries = view.size();
      if (fine.length < entries) {
        fine = new char[entries + entries / 2];
        coarse = new char[fine.length];
      }
      Arrays.fill(fine, 0, entries, (char) 0);
      Arrays.fill(coarse, 0, entries, (char) 0);
      if (bound.length < heads) {
        bound = new float[heads];
        farLog = new float[heads];
        sampledLog = new float[heads];
      }
      Arrays.fill(bound, 0, heads, 0f);
      hasFar = false;
      scores = null;
      samples = 0;
    }

    /** First row. */
    public int firstRow() {
      return firstRow;
    }

    /** Rows, from {@link #firstRow} on. */
    public int rows() {
      return rows;
    }

    /** First query head. */
    public int firstHead() {
      return firstHead;
    }

    /** Query heads, from {@link #firstHead} on; they share one key/value head. */
    public int heads() {
      return heads;
    }

    /** Entries of the view. */
    public int entries() {
      return entries;
    }

    /** For each entry, bit t: the token at offset t is read in 8 bits. The array itself. */
    public char[] fine() {
      return fine;
    }

    /** For each entry, bit t: the value at offset t is read in 4 bits. The array itself. */
    public char[] coarse() {
      return coarse;
    }

    /**
     * Makes room for weights of page means, all 0: {@code far[head · entries + entry]} is the sum
     * of {@code exp(score − farLog[head])} over the entry's tokens that enter as its mean. Returns
     * the array itself.
     */
    public float[] openFar() {
      int count = heads * entries;
      if (far.length < count) {
        far = new float[count + count / 2];
      }
      Arrays.fill(far, 0, count, 0f);
      hasFar = true;
      return far;
    }

    /** Says after {@link #openFar} that there are no weights of page means after all. */
    public void closeFar() {
      hasFar = false;
    }

    /** Whether there are weights of page means. */
    public boolean hasFar() {
      return hasFar;
    }

    /** The weights of page means. The array itself. */
    public float[] far() {
      return far;
    }

    /** For each head, the logarithm that {@link #far} is relative to. The array itself. */
    public float[] farLog() {
      return farLog;
    }

    /**
     * Hands over exact scores (scaled and capped) of all tokens: {@code scores[head · stride +
     * PAGE_TOKENS · entry + offset]}. The reader then needs no keys. For slices of one row.
     */
    public void setScores(float[] values, int stride) {
      scores = values;
      scoreStride = stride;
    }

    /** Exact scores, or null if the reader computes those that it needs. */
    public float @Nullable [] scores() {
      return scores;
    }

    /** Distance between the scores of two heads. */
    public int scoreStride() {
      return scoreStride;
    }

    /**
     * For each head, the proved bound of {@code ‖o − o′‖ / diam(V)}; 0 where none is given. Written
     * by the selection for {@link Exactness.Certified}, by attention for {@link
     * Exactness.Verified}.
     */
    public float[] bound() {
      return bound;
    }

    /**
     * Makes room for {@code count} samples of each head, drawn with repetition from the tokens that
     * enter as page means, each with a probability in proportion to its estimated weight.
     */
    public void openSamples(int count) {
      samples = count;
      if (sampleToken.length < heads * count) {
        sampleToken = new int[heads * count];
        sampleLog = new float[heads * count];
      }
    }

    /** Samples of each head; 0 without an audit. */
    public int samples() {
      return samples;
    }

    /** {@code sampleToken[head · samples + i]}: PAGE_TOKENS · entry + offset. The array itself. */
    public int[] sampleToken() {
      return sampleToken;
    }

    /** The estimated score of each sample. The array itself. */
    public float[] sampleLog() {
      return sampleLog;
    }

    /** For each head, the logarithm of the estimated weight that samples stand for. */
    public float[] sampledLog() {
      return sampledLog;
    }
  }
}
