package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.KvStoreException;
import dev.jacquard.kvstore.StoredFile;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The ids of a session, and the keys and values of the first {@link #cached()} of them. The rest is
 * computed by the next job. Because ids are kept, cached content can always be given up and
 * computed again.
 *
 * <p>Whoever holds the session's turn may change the ids; only the engine thread touches the cache.
 */
final class TokenSequence {
  private static final System.Logger LOG = System.getLogger(TokenSequence.class.getName());

  /**
   * A file whose keys and values can be placed.
   *
   * @param start position of its first token
   * @param firstPlaced the tokens before this position are computed
   */
  private record Placement(int start, int firstPlaced, KvStore store, StoredFile file) {
    int end() {
      return start + file.tokens();
    }
  }

  private final KvCache cache;
  private final AttentionPolicy policy;
  private @Nullable KvSequence kv;
  private int[] tokens;
  private volatile int length;

  /** Positions that begin a page. */
  private final BitSet starts = new BitSet();

  /** Positions that are read closely by any policy. */
  private final BitSet pins = new BitSet();

  /** Whether the cache knows of all of these. */
  private boolean marked;

  /** Files whose keys and values are stored, in the order of their positions. */
  private final List<Placement> placements = new ArrayList<>();

  TokenSequence(KvCache cache, AttentionPolicy policy) {
    this(cache, policy, null, new int[64], 0);
  }

  private TokenSequence(
      KvCache cache, AttentionPolicy policy, @Nullable KvSequence kv, int[] tokens, int length) {
    this.cache = cache;
    this.policy = policy;
    this.kv = kv;
    this.tokens = tokens;
    this.length = length;
  }

  /** How closely steps read, unless they say otherwise. */
  AttentionPolicy policy() {
    return policy;
  }

  /** Has the next id begin a page. */
  void startPage() {
    starts.set(length);
    marked = false;
  }

  /** Pins ids. */
  void pin(int from, int to) {
    pins.set(from, to);
    marked = false;
  }

  /** Number of ids; any thread may ask. */
  int length() {
    return length;
  }

  /** The ids; those from {@link #length()} on have no meaning. */
  int[] tokens() {
    return tokens;
  }

  /** How many of the ids, from the first, have keys and values. */
  int cached() {
    return kv == null ? 0 : kv.length();
  }

  /** Whether these are its first ids. */
  boolean beginsWith(int[] ids) {
    return length >= ids.length && Arrays.equals(tokens, 0, ids.length, ids, 0, ids.length);
  }

  /** Adds ids. */
  void add(int... ids) {
    int end = length + ids.length;
    if (end > tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(end, 2 * tokens.length));
    }
    System.arraycopy(ids, 0, tokens, length, ids.length);
    length = end;
  }

  /**
   * Adds the ids of a stored file, whose keys and values are placed when their turn comes.
   *
   * @param recomputed how many of the first are computed, unless nothing stands before the file but
   *     what stood there when it was stored
   */
  void add(KvStore store, StoredFile file, int recomputed) {
    int[] lead = file.lead();
    boolean alone = length == lead.length && Arrays.equals(tokens, 0, length, lead, 0, length);
    int computed = alone ? 0 : Math.min(recomputed, file.tokens());
    placements.add(new Placement(length, length + computed, store, file));
    startPage();
    add(file.ids());
    startPage();
  }

  /**
   * Places stored keys and values if they come next. The last id of the sequence is always left to
   * be computed. A file that cannot be placed is computed.
   *
   * @return number of tokens that were placed
   */
  int place() {
    int before = cached();
    for (Placement next = due(); next != null; next = due()) {
      place(next);
    }
    return cached() - before;
  }

  private @Nullable Placement due() {
    for (Placement p : placements) {
      if (p.firstPlaced() == cached() && Math.min(p.end(), length - 1) > cached()) {
        return p;
      }
    }
    return null;
  }

  private void place(Placement placement) {
    KvSequence sequence = kv();
    int from = sequence.length();
    int to = Math.min(placement.end(), length - 1);
    try {
      placement.store().place(placement.file(), placement.start(), to, sequence, cache.storage());
    } catch (KvStoreException e) {
      LOG.log(Level.WARNING, e.getMessage() + "; its " + (to - from) + " tokens are computed");
      placements.remove(placement);
      forget(from);
    }
  }

  /** The ids up to this position can be computed before stored keys and values are placed. */
  int computable() {
    int cached = cached();
    for (Placement p : placements) {
      if (p.firstPlaced() > cached && p.firstPlaced() < p.end()) {
        return p.firstPlaced();
      }
    }
    return length;
  }

  private KvSequence kv() {
    KvSequence sequence = kv;
    if (sequence == null) {
      sequence = cache.newSequence();
      kv = sequence;
    }
    if (!marked) {
      mark(sequence);
      marked = true;
    }
    return sequence;
  }

  private void mark(KvSequence sequence) {
    for (int p = starts.nextSetBit(sequence.length()); p >= 0; p = starts.nextSetBit(p + 1)) {
      sequence.startPage(p);
    }
    for (int from = pins.nextSetBit(0); from >= 0; ) {
      int to = pins.nextClearBit(from);
      sequence.pin(from, to);
      from = pins.nextSetBit(to);
    }
  }

  /**
   * Puts the ids from {@link #cached()} to {@code to} into a step; they are cached from then on.
   */
  void append(StepInputs inputs, int to, int outputs, AttentionPolicy closeness) {
    KvSequence sequence = kv();
    sequence.append(inputs, tokens, sequence.length(), to, outputs, closeness);
  }

  /** Forgets ids from {@code end} on. */
  void truncate(int end) {
    length = end;
    placements.removeIf(p -> p.end() > end);
    starts.clear(end + 1, Math.max(end + 1, starts.length()));
    pins.clear(end, Math.max(end, pins.length()));
    forget(end);
  }

  /**
   * Forgets keys and values from position {@code end} on, and all of them if a sliding window has
   * let go what would become visible again.
   */
  void forget(int end) {
    KvSequence sequence = kv;
    if (sequence == null || sequence.length() <= end) {
      return;
    }
    if (end > 0 && sequence.canTruncate(end)) {
      sequence.truncate(end);
      marked = false; // ids that stay keep their marks
    } else {
      forgetAll();
    }
  }

  /** Gives the cache's memory back; the ids stay. */
  void forgetAll() {
    if (kv != null) {
      kv.close();
      kv = null;
      marked = false;
    }
  }

  /** A copy that shares cached pages. */
  TokenSequence fork() {
    KvSequence fork = kv == null ? null : kv.fork();
    TokenSequence copy = new TokenSequence(cache, policy, fork, tokens.clone(), length);
    copy.placements.addAll(placements);
    copy.starts.or(starts);
    copy.pins.or(pins);
    return copy;
  }
}
