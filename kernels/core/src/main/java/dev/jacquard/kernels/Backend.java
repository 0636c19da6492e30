package dev.jacquard.kernels;

/**
 * A device that compiles and runs programs. Constructed, passed around and closed; never a static.
 */
public interface Backend extends AutoCloseable {
  /** Its name on the command line, as {@code vector}. */
  String name();

  /** What it runs on and how, in a line: vector width, threads, driver. */
  String description();

  /** Says, before anything runs, what would compute {@code op}. */
  OpSupport support(Op op);

  /**
   * Compiles a program: lays weights out, allocates buffers, may fuse.
   *
   * @throws BackendException if an op is not supported or memory is short
   */
  Executable compile(Program program, CompileOptions options);

  /** Allocates an empty storage for keys and values. */
  KvStorage allocateKv(KvSpec spec, KvFormat format);

  /** Stops its threads and frees the device. Executables and storages are closed first. */
  @Override
  void close();
}
