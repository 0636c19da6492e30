package dev.jacquard.kernels;

import dev.jacquard.kernels.reference.ReferenceProvider;
import dev.jacquard.kernels.vector.VectorBackendProvider;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;

/**
 * The backends there are: those of this module, and those that {@link ServiceLoader} finds on the
 * module path or class path.
 */
public final class Backends {
  /** The name that stands for the best backend of this machine. */
  public static final String AUTO = "auto";

  private static final System.Logger LOG = System.getLogger("dev.jacquard.kernels");

  private static final List<BackendProvider> BUILT_IN =
      List.of(new VectorBackendProvider(), new ReferenceProvider());

  private Backends() {}

  /** Every provider, the most preferred first, usable on this machine or not. */
  public static List<BackendProvider> providers() {
    List<BackendProvider> all = new ArrayList<>(BUILT_IN);
    ServiceLoader.load(BackendProvider.class).forEach(all::add);
    all.sort(Comparator.comparingInt(BackendProvider::priority).reversed());
    return List.copyOf(all);
  }

  /**
   * Opens a backend.
   *
   * @param name a provider's name, or {@link #AUTO} for the most preferred one that this machine
   *     can use; every more preferred one that it cannot use is logged with its reason
   * @throws BackendException if there is no backend of this name, or it cannot be used
   */
  public static Backend open(String name, BackendOptions options) {
    return open(name, options, providers());
  }

  static Backend open(String name, BackendOptions options, List<BackendProvider> providers) {
    boolean auto = name.equals(AUTO);
    for (BackendProvider provider : providers) {
      if (!auto && !provider.name().equals(name)) {
        continue;
      }
      Optional<String> refusal = provider.refusal();
      if (refusal.isEmpty()) {
        return provider.open(options);
      }
      String message = "backend " + provider.name() + " cannot be used: " + refusal.get();
      if (!auto) {
        throw new BackendException(message);
      }
      LOG.log(Level.WARNING, message);
    }
    List<String> names = providers.stream().map(BackendProvider::name).toList();
    throw new BackendException(
        auto
            ? "no backend can be used on this machine; there are " + names
            : "there is no backend \"" + name + "\"; choose " + AUTO + " or one of " + names);
  }
}
