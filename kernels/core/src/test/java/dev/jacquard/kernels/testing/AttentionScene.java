package dev.jacquard.kernels.testing;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.SketchBasis;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * One step of attention over a cache in 8 bits that is filled already: what sequences have in
 * common, what each has of its own, and the rows that they add. Positions may have gaps, so that a
 * few tokens are as far away as in a long context.
 *
 * @param name of the case
 * @param layer sizes
 * @param heads query heads
 * @param softCap of the scores, or 0
 * @param shared entries that all sequences see first
 * @param own entries that each sequence has of its own after them; their last tokens are its rows
 * @param bases for sketches, or empty
 * @param exactness of each sequence
 * @param sharedTokens keys and values in the shared entries
 * @param ownTokens of each sequence
 * @param queries of each sequence, {@code [row][heads · keySize]}
 */
public record AttentionScene(
    String name,
    KvSpec.Layer layer,
    int heads,
    float softCap,
    List<Entry> shared,
    List<Entry> own,
    List<SketchBasis> bases,
    List<Exactness> exactness,
    List<Pair> sharedTokens,
    List<List<Pair>> ownTokens,
    List<List<float[]>> queries) {
  /** Tokens of a page. */
  public record Entry(int firstPosition, int length, boolean pinned) {
    /** Checks. */
    public Entry {
      if (length < 1 || length > PAGE_TOKENS) {
        throw new IllegalArgumentException("a page of " + length + " tokens");
      }
    }
  }

  /** A key and a value, all heads. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Pair(float[] key, float[] value) {}

  /** Sequences. */
  public int sequences() {
    return exactness.size();
  }

  /** Rows of each sequence. */
  public int rows() {
    return queries.getFirst().size();
  }

  /** Query heads that share a key/value head. */
  public int sharing() {
    return heads / layer.heads();
  }

  /** Factor on the scores. */
  public float scale() {
    return (float) (1 / Math.sqrt(layer.keySize()));
  }

  /** What a sequence sees. */
  public List<Entry> entries() {
    List<Entry> all = new ArrayList<>(shared);
    all.addAll(own);
    return all;
  }

  /** The keys and values of a sequence, by position. */
  public List<Pair> tokens(int sequence) {
    List<Pair> all = new ArrayList<>(sharedTokens);
    all.addAll(ownTokens.get(sequence));
    return all;
  }

  /** The position of a row. */
  public int position(int row) {
    int back = rows() - 1 - row;
    for (Entry entry : entries().reversed()) {
      if (back < entry.length) {
        return entry.firstPosition + entry.length - 1 - back;
      }
      back -= entry.length;
    }
    throw new IllegalArgumentException("row " + row);
  }

  /** The same scene in another class of exactness. */
  public AttentionScene with(Exactness wanted) {
    return with(name + ", " + wanted, bases, Collections.nCopies(sequences(), wanted));
  }

  /** The same scene with a class for each sequence. */
  public AttentionScene with(List<Exactness> wanted) {
    return with(name, bases, wanted);
  }

  /** The same scene in a cache without sketches. */
  public AttentionScene withoutSketches() {
    return with(name + ", not sketched", List.of(), exactness);
  }

  private AttentionScene with(String called, List<SketchBasis> sketched, List<Exactness> wanted) {
    return new AttentionScene(
        called,
        layer,
        heads,
        softCap,
        shared,
        own,
        sketched,
        wanted,
        sharedTokens,
        ownTokens,
        queries);
  }

  @Override
  public String toString() {
    return name;
  }
}
