package dev.jacquard.tensor;

import dev.jacquard.tensor.format.BF16;
import dev.jacquard.tensor.format.F16;
import dev.jacquard.tensor.format.F32;
import dev.jacquard.tensor.format.Q4_0;
import dev.jacquard.tensor.format.Q4_1;
import dev.jacquard.tensor.format.Q4_K;
import dev.jacquard.tensor.format.Q5_0;
import dev.jacquard.tensor.format.Q5_1;
import dev.jacquard.tensor.format.Q5_K;
import dev.jacquard.tensor.format.Q6_K;
import dev.jacquard.tensor.format.Q8_0;
import java.util.List;
import java.util.Optional;

/** The list of number formats. A new format is one file in {@code format} and one line here. */
public final class ElementFormats {
  private static final List<ElementFormat> ALL =
      List.of(
          F32.INSTANCE,
          F16.INSTANCE,
          Q4_0.INSTANCE,
          Q4_1.INSTANCE,
          Q5_0.INSTANCE,
          Q5_1.INSTANCE,
          Q8_0.INSTANCE,
          Q4_K.INSTANCE,
          Q5_K.INSTANCE,
          Q6_K.INSTANCE,
          BF16.INSTANCE);

  private ElementFormats() {}

  /** Every format, in the order of their GGUF numbers. */
  public static List<ElementFormat> all() {
    return ALL;
  }

  /** The format with this GGUF type number, if it can be decoded here. */
  public static Optional<ElementFormat> byGgmlType(int type) {
    return ALL.stream().filter(f -> f.ggmlType() == type).findFirst();
  }

  /** The format of this name, ignoring case. */
  public static Optional<ElementFormat> byName(String name) {
    return ALL.stream().filter(f -> f.name().equalsIgnoreCase(name)).findFirst();
  }
}
