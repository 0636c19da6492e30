package dev.jacquard.session;

import java.util.Iterator;

/**
 * The events of one generation, as they happen. One thread reads; any thread may {@link #cancel}.
 * The last event is a {@link GenerationEvent.Finished}. A reader that falls behind holds up only
 * its own generation.
 */
public final class GenerationStream implements Iterator<GenerationEvent>, AutoCloseable {
  GenerationStream() {}

  /** Whether an event is still to come; false after {@link GenerationEvent.Finished}. */
  @Override
  public boolean hasNext() {
    throw new UnsupportedOperationException();
  }

  /** The next event; waits for it. */
  @Override
  public GenerationEvent next() {
    throw new UnsupportedOperationException();
  }

  /** Asks the generation to end; it finishes with {@link FinishReason#CANCELLED}. */
  public void cancel() {}

  /** Cancels if need be and waits until the generation has ended. */
  @Override
  public void close() {}
}
