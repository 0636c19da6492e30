package dev.jacquard.session;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.tokenizer.Tokenizer;

/**
 * An open model: weights, tokenizer, backend and engine thread, shared by its sessions. Any thread
 * may call it; whoever opened it closes it.
 */
public final class Model implements AutoCloseable {
  Model() {}

  /** The mapped file. */
  public ModelFile file() {
    throw new UnsupportedOperationException();
  }

  /** Its tokenizer. */
  public Tokenizer tokenizer() {
    throw new UnsupportedOperationException();
  }

  /** The program that is run. */
  public Program program() {
    throw new UnsupportedOperationException();
  }

  /** The backend that runs it; only to ask, never to run. */
  public Backend backend() {
    throw new UnsupportedOperationException();
  }

  /** Most tokens of a session. */
  public int context() {
    throw new UnsupportedOperationException();
  }

  /** A new, empty session. */
  public Session newSession() {
    throw new UnsupportedOperationException();
  }

  /** Cancels what runs, closes all sessions, frees everything. Twice does nothing. */
  @Override
  public void close() {}
}
