package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One row for which a list is written or read: what it asks, what it sees, and which of that is
 * read in 8 bits whatever the weights are. Set anew for each row.
 */
final class SelectionRow {
  /** Entries of a chunk, the share of work that a thread takes: fixed, so that sums are, too. */
  static final int CHUNK_ENTRIES = 64;

  /** Tokens of a chunk. */
  static final int CHUNK_TOKENS = CHUNK_ENTRIES * PAGE_TOKENS;

  /** Positions at the start of a sequence that are always read. */
  static final int FIRST = 16;

  /** Positions at the end that are always read. */
  static final int LAST = 128;

  /** The numbers of a page mean, see {@link #meanNumber}. */
  static final int SCALE = 0;

  static final int STRETCH = 1;
  static final int SPREAD = 2;

  private static final int WHOLE = 0xFFFF;

  private @Nullable Q8KvStorage kv;
  private @Nullable KvView view;
  private float[] query = {};
  private int layerIndex;
  private int kvHeads;
  private int groupHeads;
  private int keySize;
  private int valueSize;
  private float scale;
  private float softCap;
  private int row;
  private int position;

  /** Speaks of a row of a step from now on, as the op that chooses sees it. */
  void begin(Step step, Op.SelectPages op, float[] queries, int index) {
    begin(step, op.layer(), op.heads(), op.scale(), op.softCap(), queries, index);
  }

  /** The same for the op that reads. */
  void begin(Step step, Op.Attention op, float[] queries, int index) {
    begin(step, op.layer(), op.heads(), op.scale(), op.softCap(), queries, index);
  }

  /** The row {@code offset} rows behind another of the same sequence. */
  void begin(SelectionRow other, int offset) {
    kv = other.kv;
    view = other.view;
    query = other.query;
    layerIndex = other.layerIndex;
    kvHeads = other.kvHeads;
    groupHeads = other.groupHeads;
    keySize = other.keySize;
    valueSize = other.valueSize;
    scale = other.scale;
    softCap = other.softCap;
    row = other.row + offset;
    position = other.position + offset;
  }

  private void begin(
      Step step, int layer, int heads, float factor, float cap, float[] queries, int index) {
    Q8KvStorage storage = (Q8KvStorage) step.kv();
    KvSpec.Layer shape = storage.spec().layers().get(layer);
    kv = storage;
    view = step.inputs().view(step.inputs().sequence(index), storage.group(layer));
    query = queries;
    layerIndex = layer;
    kvHeads = shape.heads();
    groupHeads = heads / shape.heads();
    keySize = shape.keySize();
    valueSize = shape.valueSize();
    scale = factor;
    softCap = cap;
    row = index;
    position = step.inputs().position(index);
  }

  Q8KvStorage kv() {
    return Objects.requireNonNull(kv);
  }

  KvView view() {
    return Objects.requireNonNull(view);
  }

  /** All rows' queries. */
  float[] query() {
    return query;
  }

  /** Where the query of a head starts. */
  int queryAt(int head) {
    return (row * kvHeads * groupHeads + head) * keySize;
  }

  int layer() {
    return layerIndex;
  }

  int kvHeads() {
    return kvHeads;
  }

  int groupHeads() {
    return groupHeads;
  }

  int heads() {
    return kvHeads * groupHeads;
  }

  int keySize() {
    return keySize;
  }

  int valueSize() {
    return valueSize;
  }

  float scale() {
    return scale;
  }

  float softCap() {
    return softCap;
  }

  int row() {
    return row;
  }

  int position() {
    return position;
  }

  int entries() {
    return view().size();
  }

  int chunks() {
    return (entries() + CHUNK_ENTRIES - 1) / CHUNK_ENTRIES;
  }

  /** The entry behind the last of a chunk. */
  int chunkEnd(int chunk) {
    return Math.min(entries(), (chunk + 1) * CHUNK_ENTRIES);
  }

  /** A bit for each token of an entry that the row sees. */
  int visible(int entry) {
    return first(Math.min(view().length(entry), position + 1 - view().firstPosition(entry)));
  }

  /** A bit for each visible token of an entry that is read in 8 bits by rule. */
  int forced(int entry) {
    int visible = visible(entry);
    if (view().pinned(entry) || open(entry)) {
      return visible;
    }
    int start = view().firstPosition(entry);
    int sinks = first(FIRST - start);
    int recent = WHOLE & ~first(position - LAST + 1 - start);
    return visible & (sinks | recent);
  }

  /** Whether an entry is a full page that the row sees whole, and no rule reads any of it. */
  boolean free(int entry) {
    int start = view().firstPosition(entry);
    return view().length(entry) == PAGE_TOKENS
        && start >= FIRST
        && start + PAGE_TOKENS <= position - LAST + 1
        && !view().pinned(entry);
  }

  /** Whether an entry holds the row itself: its page is still being filled. */
  boolean open(int entry) {
    return view().firstPosition(entry) + view().length(entry) > position;
  }

  /** Scale, stretch or spread of the mean of a page. */
  float meanNumber(int page, int kvHead, int which) {
    return Float.float16ToFloat(
        kv().memory(layerIndex, page)
            .get(
                Q8KvStorage.HALF,
                kv().offset(Q8KvStorage.Part.MEAN_NUMBERS, layerIndex, page, kvHead)
                    + (long) which * Short.BYTES));
  }

  /**
   * What roundings to float may change of an output, divided by the diameter of the values: a score
   * and a weight are off by a few units in the last place for each of the sums and products in the
   * longest chain, 2⁻²⁴ · (keySize / 16 + 16) · (|score| + 2) if no large terms of a score cancel,
   * which moves at most twice that share of the weight; sums of values are off by 2⁻²⁴ · 64 of
   * their length.
   *
   * @param score the largest magnitude of a score
   * @param length of the longest output
   */
  double rounding(double score, double length, double diameter) {
    double chain = keySize / (double) TokenKernels.CHAINS + 16;
    return 0x1p-24 * (2 * chain * (score + 2) + 64 * length / diameter);
  }

  /** The lowest {@code count} of 16 bits. */
  private static int first(int count) {
    return (1 << Math.clamp(count, 0, PAGE_TOKENS)) - 1;
  }
}
