package dev.jacquard.cli;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.BackendProvider;
import dev.jacquard.kernels.Backends;
import java.lang.module.ModuleDescriptor;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints: this program, Java and the machine's vector unit. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {
      "jacquard " + ofProgram(), "Java " + Runtime.version(), "Vector API: " + vectorUnit()
    };
  }

  private static String vectorUnit() {
    return Backends.providers().stream()
        .filter(provider -> provider.name().equals("vector"))
        .map(provider -> provider.refusal().orElseGet(() -> description(provider)))
        .findFirst()
        .orElse("no backend uses it");
  }

  private static String description(BackendProvider provider) {
    try (Backend backend = provider.open(new BackendOptions(1))) {
      return backend.description();
    }
  }

  /** The version of the module, or "development" where there is none: on the class path. */
  static String ofProgram() {
    ModuleDescriptor module = Version.class.getModule().getDescriptor();
    return module == null ? "development" : module.rawVersion().orElse("development");
  }
}
