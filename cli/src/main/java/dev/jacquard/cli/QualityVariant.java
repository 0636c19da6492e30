package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A model and how it is run.
 *
 * @param name as reports show it
 * @param model its file, or null for the model that all are compared with
 * @param attention how closely cached tokens are read, at any length
 */
record QualityVariant(String name, @Nullable Path model, AttentionPolicy attention) {
  /** The model itself. */
  static final QualityVariant SELF =
      new QualityVariant("the model itself", null, AttentionPolicy.DENSE);

  /** Reads {@code NAME=VALUE NAME=VALUE}. */
  static final class Parser implements ITypeConverter<QualityVariant> {
    @Override
    public QualityVariant convert(String text) {
      Path model = null;
      AttentionPolicy attention = AttentionPolicy.DENSE;
      StringBuilder name = new StringBuilder();
      for (String part : text.strip().split("\\s+", -1)) {
        int equals = part.indexOf('=');
        String key = equals < 0 ? "" : part.substring(0, equals);
        String value = part.substring(equals + 1);
        switch (key) {
          case "model" -> {
            model = Path.of(value);
            append(name, String.valueOf(model.getFileName()));
          }
          case "attention" -> {
            attention = attention(value);
            append(name, value);
          }
          default ->
              throw new TypeConversionException(
                  "'%s' is none of model=FILE, attention=CLASS".formatted(part));
        }
      }
      return new QualityVariant(name.toString(), model, attention);
    }

    private static AttentionPolicy attention(String value) {
      try {
        return AttentionPolicy.parse(value, 0);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }

    private static void append(StringBuilder name, String part) {
      name.append(name.isEmpty() ? "" : ", ").append(part);
    }
  }
}
