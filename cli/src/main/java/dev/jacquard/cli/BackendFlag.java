package dev.jacquard.cli;

import dev.jacquard.kernels.Backends;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What computes. */
final class BackendFlag {
  /** Accepts {@link Backends#AUTO} and the names of all backends. */
  static final class Name implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      List<String> names = new ArrayList<>(List.of(Backends.AUTO));
      Backends.providers().forEach(provider -> names.add(provider.name()));
      if (!names.contains(value)) {
        throw new TypeConversionException(
            "expected one of " + String.join(", ", names) + ", not '" + value + "'");
      }
      return value;
    }
  }

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      converter = Name.class,
      description = "What computes: vector, reference, or auto for the best there is (default).")
  private String name = Backends.AUTO;

  /** Its name, or {@code auto}. */
  String name() {
    return name;
  }
}
