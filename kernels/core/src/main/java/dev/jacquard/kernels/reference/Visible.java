package dev.jacquard.kernels.reference;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;

/**
 * The tokens that one row sees. A token is named by its entry of the view and its offset there, or
 * by both in one number, {@code PAGE_TOKENS · entry + offset}.
 *
 * @param view what its sequence sees
 * @param first the first position that the row sees
 * @param last the last, which is its own
 */
record Visible(KvView view, int first, int last) {
  /** Positions at the beginning of a sequence that are always read in 8 bits. */
  private static final int FIRST_FORCED = 16;

  /** Positions at the end that are. */
  private static final int LAST_FORCED = 128;

  /** Entries of the view. */
  int entries() {
    return view.size();
  }

  /** Offset, in its page, of the first visible token of an entry. */
  int start(int entry) {
    return Math.max(0, first - view.firstPosition(entry));
  }

  /** Offset behind the last visible token of an entry; not above {@link #start} if none is. */
  int end(int entry) {
    return Math.min(view.length(entry), last + 1 - view.firstPosition(entry));
  }

  /** Visible tokens of an entry. */
  int tokens(int entry) {
    return Math.max(0, end(entry) - start(entry));
  }

  /** Visible tokens. */
  int tokens() {
    int tokens = 0;
    for (int e = 0; e < entries(); e++) {
      tokens += tokens(e);
    }
    return tokens;
  }

  /** How long an array is that has a place for each token. */
  int span() {
    return PAGE_TOKENS * entries();
  }

  /** The token's place in such an array. */
  static int place(int entry, int offset) {
    return PAGE_TOKENS * entry + offset;
  }

  /** Whether an entry holds the row itself: its page is still being filled. */
  boolean open(int entry) {
    return view.firstPosition(entry) + view.length(entry) > last && tokens(entry) > 0;
  }

  /** Whether a token is read in 8 bits whatever its weight. */
  boolean forced(int entry, int offset) {
    int position = view.firstPosition(entry) + offset;
    return position < FIRST_FORCED
        || position > last - LAST_FORCED
        || view.pinned(entry)
        || open(entry);
  }
}
