package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** IEEE half precision to floats without a conversion instruction, which the Vector API lacks. */
final class HalfFloats {
  /** As many shorts as a float vector has lanes. */
  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Lanes.bits() / 2));

  private HalfFloats() {}

  /**
   * A vector of floats from consecutive halves. Shifted into place, sign and mantissa are right and
   * the exponent is 112 too small, which a product corrects, for subnormal numbers too. What then
   * is 65536 or more had the exponent of infinity and NaN, and gets it back.
   */
  static FloatVector load(MemorySegment source, long offset) {
    IntVector bits =
        (IntVector) ShortVector.fromMemorySegment(HALVES, source, offset, ORDER).castShape(INT, 0);
    FloatVector x =
        bits.lanewise(VectorOperators.LSHL, 13).and(0x8fffe000).reinterpretAsFloats().mul(0x1p112f);
    IntVector special = x.reinterpretAsInts().or(0x7f800000);
    return x.blend(special.reinterpretAsFloats(), x.abs().compare(VectorOperators.GE, 0x1p16f));
  }
}
