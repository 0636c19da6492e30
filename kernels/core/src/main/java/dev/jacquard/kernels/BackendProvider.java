package dev.jacquard.kernels;

import java.util.Optional;

/** The only service interface: how a backend outside this module is found. */
public interface BackendProvider {
  /** Name on the command line. */
  String name();

  /** Larger is preferred when the user names none. */
  int priority();

  /**
   * Why it cannot be used on this machine, with the package or flag that would help; empty if it
   * can.
   */
  Optional<String> refusal();

  /**
   * Opens it.
   *
   * @throws BackendException if it cannot be used
   */
  Backend open(BackendOptions options);
}
