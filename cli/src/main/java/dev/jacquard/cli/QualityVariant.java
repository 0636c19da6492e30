package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.neurons.FeedForwardPolicy;
import java.nio.file.Path;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A model and how it is run.
 *
 * @param name as reports show it
 * @param model its file, or null for the model that all are compared with
 * @param attention how closely cached tokens are read, at any length
 * @param feedForward which neurons are computed for decoded tokens
 */
record QualityVariant(
    String name, @Nullable Path model, AttentionPolicy attention, FeedForwardPolicy feedForward) {
  /** The model itself. */
  static final QualityVariant SELF =
      new QualityVariant(
          "the model itself", null, AttentionPolicy.DENSE, FeedForwardPolicy.dense());

  /** Whether decoded tokens leave nothing out. */
  boolean dense() {
    return attention.equals(AttentionPolicy.DENSE) && feedForward.equals(FeedForwardPolicy.dense());
  }

  /** Reads {@code NAME=VALUE NAME=VALUE}. */
  static final class Parser implements ITypeConverter<QualityVariant> {
    @Override
    public QualityVariant convert(String text) {
      Path model = null;
      AttentionPolicy attention = AttentionPolicy.DENSE;
      FeedForwardPolicy feedForward = FeedForwardPolicy.dense();
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
            attention = checked(() -> AttentionPolicy.parse(value, 0));
            append(name, value);
          }
          case "ffn" -> {
            feedForward = checked(() -> FeedForwardPolicy.parse(value));
            append(name, value);
          }
          default ->
              throw new TypeConversionException(
                  "'%s' is none of model=FILE, attention=CLASS, ffn=CLASS".formatted(part));
        }
      }
      return new QualityVariant(name.toString(), model, attention, feedForward);
    }

    private static <T> T checked(Supplier<T> parsed) {
      try {
        return parsed.get();
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }

    private static void append(StringBuilder name, String part) {
      name.append(name.isEmpty() ? "" : ", ").append(part);
    }
  }
}
