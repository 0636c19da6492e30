package dev.jacquard.cli;

import dev.jacquard.neurons.FeedForwardPolicy;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which neurons of feed-forward layers decoded tokens compute. */
final class FeedForwardFlag {
  @Option(
      names = "--ffn",
      paramLabel = "CLASS",
      converter = Checked.class,
      description =
          "Which neurons of feed-forward layers are computed for generated tokens: dense (all), or"
              + " prompt:SHARE (this share is left out, chosen by the prompt; 0 is dense). Costs"
              + " quality, much of it in models below 1 B (default: dense).")
  private FeedForwardPolicy policy = FeedForwardPolicy.dense();

  FeedForwardPolicy policy() {
    return policy;
  }

  /** Says what is allowed. */
  static final class Checked implements ITypeConverter<FeedForwardPolicy> {
    @Override
    public FeedForwardPolicy convert(String value) {
      try {
        return FeedForwardPolicy.parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
