package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.BackendProvider;
import java.util.Optional;

/** Opens the {@link ReferenceBackend}, which every machine can run. */
public final class ReferenceProvider implements BackendProvider {
  /** The provider has no state. */
  public ReferenceProvider() {}

  @Override
  public String name() {
    return ReferenceBackend.NAME;
  }

  @Override
  public int priority() {
    return 0;
  }

  @Override
  public Optional<String> refusal() {
    return Optional.empty();
  }

  @Override
  public Backend open(BackendOptions options) {
    return new ReferenceBackend(options);
  }
}
