package dev.jacquard.quantization;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What llama.cpp calls the type of a file: the format of most of its matrices, and with it the
 * rules by which some get another. {@code _S} and {@code _M} mixes differ in how many do.
 *
 * <p>Source: {@code llama_ftype} of llama.cpp; its numbers stand in {@code general.file_type}.
 */
public enum FileType {
  /** Single precision. */
  F32(0, "F32"),
  /** Half precision. */
  F16(1, "F16"),
  /** The upper half of single precision. */
  BF16(32, "BF16"),
  /** 8.5 bits a weight. */
  Q8_0(7, "Q8_0"),
  /** 4.5 bits a weight; the output matrix in Q6_K. */
  Q4_0(2, "Q4_0"),
  /** 5 bits a weight; the output matrix in Q6_K. */
  Q4_1(3, "Q4_1"),
  /** 5.5 bits a weight; the output matrix in Q6_K. */
  Q5_0(8, "Q5_0"),
  /** 6 bits a weight; the output matrix in Q6_K. */
  Q5_1(9, "Q5_1"),
  /** 4.5 bits a weight; first layers in Q5_K, the output matrix in Q6_K. */
  Q4_K_S(14, "Q4_K"),
  /** 4.5 bits a weight; half of the value and down matrices and the output matrix in Q6_K. */
  Q4_K_M(15, "Q4_K"),
  /** 5.5 bits a weight; the output matrix in Q6_K. */
  Q5_K_S(16, "Q5_K"),
  /** 5.5 bits a weight; half of the value and down matrices and the output matrix in Q6_K. */
  Q5_K_M(17, "Q5_K"),
  /** 6.6 bits a weight. */
  Q6_K(18, "Q6_K");

  private final int number;
  private final String format;

  FileType(int number, String format) {
    this.number = number;
    this.format = format;
  }

  /** The number in {@code general.file_type}. */
  public int number() {
    return number;
  }

  /** The format of most matrices. */
  public ElementFormat format() {
    return ElementFormats.byName(format).orElseThrow();
  }

  /** The type of this name, ignoring case. */
  public static Optional<FileType> byName(String name) {
    return Arrays.stream(values()).filter(t -> t.name().equalsIgnoreCase(name)).findFirst();
  }

  /** All names, in the order of a list to choose from. */
  public static List<String> names() {
    return Arrays.stream(values()).map(FileType::name).toList();
  }
}
