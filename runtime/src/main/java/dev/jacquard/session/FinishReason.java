package dev.jacquard.session;

/** Why a generation ended. */
public enum FinishReason {
  /** An end-of-generation token or a stop string. */
  STOP,
  /** The requested number of tokens. */
  LENGTH,
  /** The session's context is full. */
  CONTEXT_FULL,
  /** Somebody cancelled it. */
  CANCELLED,
  /** Something failed; the event carries it. */
  ERROR
}
