package dev.jacquard.architecture;

import java.util.List;
import java.util.Optional;

/** The list of architectures. A new one is one file and one line here. */
public final class Architectures {
  private static final List<Architecture> ALL =
      List.of(new LlamaArchitecture(), new Gemma3Architecture());

  private Architectures() {}

  /** Every architecture. */
  public static List<Architecture> all() {
    return ALL;
  }

  /** The architecture of this name. */
  public static Optional<Architecture> byName(String name) {
    return ALL.stream().filter(a -> a.name().equals(name)).findFirst();
  }
}
