package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.BackendProvider;
import java.util.Optional;

/**
 * Opens the Vector API backend. The only class of this package that may be loaded where the module
 * {@code jdk.incubator.vector} is missing.
 */
public final class VectorBackendProvider implements BackendProvider {
  private static final String MODULE = "jdk.incubator.vector";

  /** For the list of backends. */
  public VectorBackendProvider() {}

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public int priority() {
    return 100;
  }

  @Override
  public Optional<String> refusal() {
    return ModuleLayer.boot().findModule(MODULE).isPresent()
        ? Optional.empty()
        : Optional.of(
            "the module " + MODULE + " is not resolved: start java with --add-modules " + MODULE);
  }

  @Override
  public Backend open(BackendOptions options) {
    refusal()
        .ifPresent(
            reason -> {
              throw new BackendException("backend " + name() + " cannot be used: " + reason);
            });
    return new VectorBackend(options);
  }
}
