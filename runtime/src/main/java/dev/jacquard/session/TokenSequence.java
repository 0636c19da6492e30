package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.StepInputs;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The ids of a session, and the keys and values of the first {@link #cached()} of them. The rest is
 * computed by the next job. Because ids are kept, cached content can always be given up and
 * computed again.
 *
 * <p>Whoever holds the session's turn may change the ids; only the engine thread touches the cache.
 */
final class TokenSequence {
  private final KvCache cache;
  private final AttentionPolicy policy;
  private @Nullable KvSequence kv;
  private int[] tokens;
  private volatile int length;

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
   * Puts the ids from {@link #cached()} to {@code to} into a step; they are cached from then on.
   */
  void append(StepInputs inputs, int to, int outputs) {
    KvSequence sequence = kv;
    if (sequence == null) {
      sequence = cache.newSequence();
      kv = sequence;
    }
    sequence.append(inputs, tokens, sequence.length(), to, outputs, policy);
  }

  /** Forgets ids from {@code end} on. */
  void truncate(int end) {
    length = end;
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
    } else {
      forgetAll();
    }
  }

  /** Gives the cache's memory back; the ids stay. */
  void forgetAll() {
    if (kv != null) {
      kv.close();
      kv = null;
    }
  }

  /** A copy that shares cached pages. */
  TokenSequence fork() {
    return new TokenSequence(cache, policy, kv == null ? null : kv.fork(), tokens.clone(), length);
  }
}
