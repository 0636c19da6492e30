package dev.jacquard.kernels.vector;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shapes of this machine, chosen once: what the processor prefers, or {@code
 * -Djacquard.vector.bits=128|256|512} so that tests reach every width. Results do not depend on the
 * width.
 *
 * <p>Floats, ints and doubles have this one shape and no other in the whole package. The compiler
 * inlines a vector operation by the classes that its call site in the JDK has seen, and those sites
 * are shared by all code: with a second width every operation is inlined twice, long kernels pass
 * the compiler's limit of nodes, and vectors become objects (docs/kernels-cpu.md).
 */
final class Lanes {
  /** System property that forces a width. */
  static final String BITS_PROPERTY = "jacquard.vector.bits";

  private static final VectorShape SHAPE = shape();

  static final VectorSpecies<Float> FLOAT = VectorSpecies.of(float.class, SHAPE);
  static final VectorSpecies<Integer> INT = VectorSpecies.of(int.class, SHAPE);
  static final VectorSpecies<Short> SHORT = VectorSpecies.of(short.class, SHAPE);
  static final VectorSpecies<Byte> BYTE = VectorSpecies.of(byte.class, SHAPE);
  static final VectorSpecies<Double> DOUBLE = VectorSpecies.of(double.class, SHAPE);

  /** Floats in a vector. */
  static final int FLOATS = FLOAT.length();

  /** Doubles in a vector. */
  static final int DOUBLES = DOUBLE.length();

  /** Bytes of a vector. */
  static final long VECTOR_BYTES = FLOAT.vectorByteSize();

  /** Everything in files and in packed weights is little-endian. */
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private Lanes() {}

  /** Width in bits. */
  static int bits() {
    return SHAPE.vectorBitSize();
  }

  private static VectorShape shape() {
    String forced = System.getProperty(BITS_PROPERTY);
    if (forced == null) {
      VectorShape preferred = FloatVector.SPECIES_PREFERRED.vectorShape();
      return preferred.vectorBitSize() > 512 ? VectorShape.S_512_BIT : preferred;
    }
    return switch (forced) {
      case "128" -> VectorShape.S_128_BIT;
      case "256" -> VectorShape.S_256_BIT;
      case "512" -> VectorShape.S_512_BIT;
      default ->
          throw new IllegalArgumentException(
              BITS_PROPERTY + " must be 128, 256 or 512, not " + forced);
    };
  }
}
