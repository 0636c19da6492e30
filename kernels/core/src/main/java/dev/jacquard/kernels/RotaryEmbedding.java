package dev.jacquard.kernels;

import java.util.Arrays;

/**
 * Rotary position embedding (Su et al. 2021, arXiv 2104.09864) with every kind of scaling worked
 * out in advance: pair {@code j} of a head turns by {@code position · frequencies[j]} radians and
 * is multiplied by {@code amplitude}. Values beyond {@code 2 · frequencies.length} pass unchanged.
 *
 * @param pairing which two values form pair j
 * @param frequencies radians per position, one for each pair
 * @param amplitude factor on cosine and sine; 1 but for YaRN
 */
@SuppressWarnings("ArrayRecordComponent") // equality is by content, see equals
public record RotaryEmbedding(Pairing pairing, double[] frequencies, float amplitude) {
  /** Which values of a head form pair {@code j} of {@code n} pairs. */
  public enum Pairing {
    /** {@code (2j, 2j + 1)}, as llama stores it in GGUF. */
    NEIGHBOURS,
    /** {@code (j, j + n)}, as NeoX and gemma. */
    HALVES
  }

  /** Copies. */
  public RotaryEmbedding {
    frequencies = frequencies.clone();
  }

  /** The frequencies; the caller must not change them. */
  @Override
  public double[] frequencies() {
    return frequencies;
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof RotaryEmbedding(var p, var f, var a)
        && p == pairing
        && Arrays.equals(f, frequencies)
        && a == amplitude;
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(frequencies) * 31 + pairing.hashCode() + Float.hashCode(amplitude);
  }
}
