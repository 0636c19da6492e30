package dev.jacquard.cli;

import dev.jacquard.quantization.FileType;
import dev.jacquard.tensor.ElementFormat;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How large a model shall be whose formats are chosen by what they cost, and on which text. */
final class MixFlags {
  @Option(
      names = "--size",
      paramLabel = "SIZE",
      converter = StoreFlags.Size.class,
      description =
          "Choose the format of each tensor by what it costs, so that OUT has at most this size, as"
              + " 4.5MB; needs --calibrate.")
  private @Nullable Long size;

  @Option(
      names = "--bits",
      paramLabel = "N",
      converter = Numbers.FinitePositive.class,
      description = "The same for so many bits a weight.")
  private @Nullable Double bits;

  @Option(
      names = "--same-size-as",
      paramLabel = "TYPE",
      converter = QuantizeCommand.TypeConverter.class,
      description = "The same for the size that a file of this type would have.")
  private @Nullable FileType sameSizeAs;

  @Option(
      names = "--calibrate",
      paramLabel = "DIR or FILE",
      description =
          "The text that costs are measured on, in UTF-8; may be given several times. Without"
              + " --imatrix it gives the importance matrix too.")
  private List<Path> texts = new ArrayList<>();

  @Option(
      names = "--try-tokens",
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "4096",
      description =
          "Tokens on which each tensor is tried; -n is for the importance matrix (default:"
              + " ${DEFAULT-VALUE}).")
  private int tryTokens;

  @Option(
      names = "--formats",
      split = ",",
      paramLabel = "FORMAT",
      converter = QuantizeCommand.FormatConverter.class,
      description =
          "Formats that may be chosen, with commas (default: Q8_0 and the K formats, and where these"
              + " do not fit, those of 32 elements).")
  private List<ElementFormat> formats = new ArrayList<>();

  @Mixin private final TextFlags text = new TextFlags();
  @Mixin private final BackendFlag backend = new BackendFlag();

  /** How many of the three ways to say a size were used. */
  int sizes() {
    return (int) Stream.of(size, bits, sameSizeAs).filter(Objects::nonNull).count();
  }

  @Nullable Long size() {
    return size;
  }

  @Nullable Double bits() {
    return bits;
  }

  @Nullable FileType sameSizeAs() {
    return sameSizeAs;
  }

  List<Path> texts() {
    return texts;
  }

  List<ElementFormat> formats() {
    return formats;
  }

  TextFlags text() {
    return text;
  }

  String backend() {
    return backend.name();
  }

  /** Pieces of the text on which each tensor is tried. */
  List<int[]> tried(List<int[]> pieces) {
    return pieces.subList(0, Math.clamp(tryTokens / text.pieceLength(), 1, pieces.size()));
  }
}
