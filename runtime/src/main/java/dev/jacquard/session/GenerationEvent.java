package dev.jacquard.session;

import org.jspecify.annotations.Nullable;

/**
 * What a generation tells, in order: prefill progress, tokens, and exactly one {@link Finished}.
 */
public sealed interface GenerationEvent {
  /** {@code done} of {@code total} prompt tokens are in the cache. */
  record Prefill(int done, int total) implements GenerationEvent {}

  /**
   * One more token.
   *
   * @param id its id
   * @param text what can be shown now: whole characters only, and nothing that might still become a
   *     stop string; may be empty
   */
  record Token(int id, String text) implements GenerationEvent {}

  /**
   * The end.
   *
   * @param reason why
   * @param text what was held back and can be shown after all
   * @param statistics what it cost
   * @param error the failure, exactly if the reason is {@link FinishReason#ERROR}
   */
  record Finished(
      FinishReason reason, String text, GenerationStatistics statistics, @Nullable Throwable error)
      implements GenerationEvent {}
}
