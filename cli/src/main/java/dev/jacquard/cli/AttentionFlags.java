package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How closely cached keys and values are read. */
final class AttentionFlags {
  @Option(
      names = "--attention",
      paramLabel = "CLASS",
      converter = Checked.class,
      defaultValue = "dense",
      description =
          "How closely cached tokens are read: dense, certified[:epsilon],"
              + " verified[:epsilon[,delta]] or budgeted[:coverage[,coverage of prompts]]; all but"
              + " dense keep keys and values in q8 (default: ${DEFAULT-VALUE}).")
  private String text = "dense";

  @Option(
      names = "--dense-below",
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description = "Below so many tokens verified and budgeted are dense (default: 4096).")
  private int denseBelow = AttentionPolicy.DENSE_BELOW;

  /** Checks the text; the policy also needs the other option. */
  static final class Checked implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      try {
        return AttentionPolicy.parse(value, 0).toString();
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  AttentionPolicy policy() {
    return AttentionPolicy.parse(text, denseBelow);
  }
}
