package dev.jacquard.modelfile;

import static java.util.stream.Collectors.toUnmodifiableMap;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * All number formats that ggml defines, also those that cannot be decoded here: what {@code
 * inspect} needs to show a file, and what the size of a tensor follows from.
 *
 * <p>Source: the block structures of ggml. Blocks of K-quants hold 256 elements.
 */
public final class GgmlTypes {
  /**
   * A number format.
   *
   * @param number its number in files
   * @param name the field's name, as {@code Q4_K}
   * @param blockSize elements in a block
   * @param blockBytes bytes in a block
   */
  public record Type(int number, String name, int blockSize, int blockBytes) {}

  private static final List<Type> ALL =
      List.of(
          new Type(0, "F32", 1, 4),
          new Type(1, "F16", 1, 2),
          new Type(2, "Q4_0", 32, 18),
          new Type(3, "Q4_1", 32, 20),
          new Type(6, "Q5_0", 32, 22),
          new Type(7, "Q5_1", 32, 24),
          new Type(8, "Q8_0", 32, 34),
          new Type(9, "Q8_1", 32, 36),
          new Type(10, "Q2_K", 256, 84),
          new Type(11, "Q3_K", 256, 110),
          new Type(12, "Q4_K", 256, 144),
          new Type(13, "Q5_K", 256, 176),
          new Type(14, "Q6_K", 256, 210),
          new Type(15, "Q8_K", 256, 292),
          new Type(16, "IQ2_XXS", 256, 66),
          new Type(17, "IQ2_XS", 256, 74),
          new Type(18, "IQ3_XXS", 256, 98),
          new Type(19, "IQ1_S", 256, 50),
          new Type(20, "IQ4_NL", 32, 18),
          new Type(21, "IQ3_S", 256, 110),
          new Type(22, "IQ2_S", 256, 82),
          new Type(23, "IQ4_XS", 256, 136),
          new Type(24, "I8", 1, 1),
          new Type(25, "I16", 1, 2),
          new Type(26, "I32", 1, 4),
          new Type(27, "I64", 1, 8),
          new Type(28, "F64", 1, 8),
          new Type(29, "IQ1_M", 256, 56),
          new Type(30, "BF16", 1, 2),
          new Type(34, "TQ1_0", 256, 54),
          new Type(35, "TQ2_0", 256, 66),
          new Type(39, "MXFP4", 32, 17),
          new Type(40, "NVFP4", 64, 36),
          new Type(41, "Q1_0", 128, 18),
          new Type(42, "Q2_0", 64, 18));

  private static final Map<Integer, Type> BY_NUMBER =
      ALL.stream().collect(toUnmodifiableMap(Type::number, Function.identity()));

  /** Numbers that old files may hold and that ggml gave up. */
  private static final Map<Integer, String> REMOVED =
      Map.of(
          4, "Q4_2",
          5, "Q4_3",
          31, "Q4_0_4_4",
          32, "Q4_0_4_8",
          33, "Q4_0_8_8",
          36, "IQ4_NL_4_4",
          37, "IQ4_NL_4_8",
          38, "IQ4_NL_8_8");

  private GgmlTypes() {}

  /** Every format, in the order of their numbers. */
  public static List<Type> all() {
    return ALL;
  }

  /** The format with this number, if ggml still has it. */
  public static Optional<Type> byNumber(int number) {
    return Optional.ofNullable(BY_NUMBER.get(number));
  }

  /** How to speak of a number that {@link #byNumber} does not know. */
  static String describeUnknown(int number) {
    String removed = REMOVED.get(number);
    return removed == null
        ? "type " + number
        : "type " + number + " (" + removed + ", which ggml removed: convert the model again)";
  }
}
