package dev.jacquard.session;

/**
 * A conversation with a model: a sequence of tokens and their keys and values. Calls of different
 * threads on one session are an error unless they are {@link GenerationStream#cancel} or {@link
 * #close}.
 */
public final class Session implements AutoCloseable {
  Session() {}

  /** Receives the logits after one position; the array is reused for the next. */
  @FunctionalInterface
  public interface LogitsConsumer {
    /** {@code logits[id]} after the token at {@code position}. */
    void accept(int position, float[] logits);
  }

  /** Tokens in the session. */
  public int position() {
    throw new UnsupportedOperationException();
  }

  /**
   * Starts to generate. Only one generation runs in a session at a time.
   *
   * @throws IllegalStateException if the session is closed or generates already
   * @throws IllegalArgumentException if the prompt holds an id that is no token, or nothing at all
   *     is there to continue
   * @throws ContextExceededException if the prompt does not fit the context
   */
  public GenerationStream generate(GenerationRequest request) {
    throw new UnsupportedOperationException(request.toString());
  }

  /**
   * Appends tokens and hands over the logits after each of the last {@code outputs} of them, in
   * order, on the calling thread; returns when all are done.
   */
  public void evaluate(int[] tokens, int outputs, LogitsConsumer consumer) {
    throw new UnsupportedOperationException(tokens.length + " " + outputs + consumer);
  }

  /**
   * Forgets all tokens from {@code position} on.
   *
   * @throws IllegalArgumentException if that is beyond the end, or behind what a sliding window has
   *     let go
   */
  public void rewind(int position) {
    throw new UnsupportedOperationException(position + "");
  }

  /** A second session with the same content; pages are shared until one of them writes. */
  public Session fork() {
    throw new UnsupportedOperationException();
  }

  /** Cancels what runs and gives the memory back. Twice does nothing. */
  @Override
  public void close() {}
}
