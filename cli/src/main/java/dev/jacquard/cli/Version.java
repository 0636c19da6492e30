package dev.jacquard.cli;

import java.lang.module.ModuleDescriptor;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints: this program, Java and the machine's vector unit. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {
      "jacquard " + ofProgram(), "Java " + Runtime.version(), VectorUnit.description()
    };
  }

  /** The version of the module, or "development" where there is none: on the class path. */
  static String ofProgram() {
    ModuleDescriptor module = Version.class.getModule().getDescriptor();
    return module == null ? "development" : module.rawVersion().orElse("development");
  }
}
