package dev.jacquard.attention;

import dev.jacquard.kernels.KvStorage;

/** Keys and values of several sequences in one storage. One writer: the engine thread. */
public interface KvCache extends AutoCloseable {
  /** The memory behind it, to be passed to {@code Executable.run}. */
  KvStorage storage();

  /** A new, empty sequence. */
  KvSequence newSequence();

  /** Bytes that pages in use take. */
  long usedBytes();

  /** Frees the storage. All sequences become unusable. Twice does nothing. */
  @Override
  void close();
}
