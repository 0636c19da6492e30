package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.BYTE;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.SHORT;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * Sums of {@link SketchTables} over the sketches of 64 tokens: two look-ups of 64 bytes for each
 * byte of the sketch ({@code vpermb} with AVX-512), added as bytes, then in lanes of 16 bits. Lanes
 * of bytes become lanes of 16 bits without a conversion: {@code all} sums both bytes of a lane,
 * {@code upper} the upper one, and {@code all − 256·upper} is the sum of the lower ones.
 *
 * <p>Indices wrap around at the length of a vector, and tables are repeated every 16 bytes, so that
 * nobody has to mask the other nibble away. Whole numbers, hence the same at every width. A shift
 * by a vector of counts is one instruction; a shift by a number is three in the code of JDK 25.
 */
final class SketchScan {
  /** Tokens of a quad of pages. */
  static final int TOKENS = Q8KvStorage.SKETCH_TOKENS;

  private static final int BYTES = BYTE.length();
  private static final int SHORTS = SHORT.length();
  private static final VectorShuffle<Short> FIRST = VectorShuffle.makeZip(SHORT, 0);
  private static final VectorShuffle<Short> SECOND = VectorShuffle.makeZip(SHORT, 1);

  private SketchScan() {}

  /**
   * Sums of four query heads.
   *
   * @param quad where byte 0 of token 0 of the quad is
   * @param tables of the first head at {@code tables[at …]}, the next {@code tableStride} behind
   * @param sums of token t of head h: {@code sums[to + h · stride + t]}
   */
  static void scan4(
      MemorySegment sketches,
      long quad,
      int sketchBytes,
      MemorySegment tables,
      long at,
      int tableStride,
      short[] sums,
      int to,
      int stride) {
    for (int lane = 0; lane < TOKENS; lane += BYTES) {
      ShortVector all0 = ShortVector.zero(SHORT);
      ShortVector all1 = ShortVector.zero(SHORT);
      ShortVector all2 = ShortVector.zero(SHORT);
      ShortVector all3 = ShortVector.zero(SHORT);
      ShortVector upper0 = ShortVector.zero(SHORT);
      ShortVector upper1 = ShortVector.zero(SHORT);
      ShortVector upper2 = ShortVector.zero(SHORT);
      ShortVector upper3 = ShortVector.zero(SHORT);
      for (int i = 0; i < sketchBytes; i++) {
        ByteVector low =
            ByteVector.fromMemorySegment(BYTE, sketches, quad + i * (long) TOKENS + lane, ORDER);
        ByteVector high =
            low.reinterpretAsShorts()
                .lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 4))
                .reinterpretAsBytes();
        long t = at + i * 2L * SketchTables.TABLE;
        ShortVector sum =
            low.selectFrom(ByteVector.fromMemorySegment(BYTE, tables, t, ORDER))
                .add(
                    high.selectFrom(
                        ByteVector.fromMemorySegment(BYTE, tables, t + SketchTables.TABLE, ORDER)))
                .reinterpretAsShorts();
        all0 = all0.add(sum);
        upper0 = upper0.add(sum.lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 8)));
        t += tableStride;
        sum =
            low.selectFrom(ByteVector.fromMemorySegment(BYTE, tables, t, ORDER))
                .add(
                    high.selectFrom(
                        ByteVector.fromMemorySegment(BYTE, tables, t + SketchTables.TABLE, ORDER)))
                .reinterpretAsShorts();
        all1 = all1.add(sum);
        upper1 = upper1.add(sum.lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 8)));
        t += tableStride;
        sum =
            low.selectFrom(ByteVector.fromMemorySegment(BYTE, tables, t, ORDER))
                .add(
                    high.selectFrom(
                        ByteVector.fromMemorySegment(BYTE, tables, t + SketchTables.TABLE, ORDER)))
                .reinterpretAsShorts();
        all2 = all2.add(sum);
        upper2 = upper2.add(sum.lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 8)));
        t += tableStride;
        sum =
            low.selectFrom(ByteVector.fromMemorySegment(BYTE, tables, t, ORDER))
                .add(
                    high.selectFrom(
                        ByteVector.fromMemorySegment(BYTE, tables, t + SketchTables.TABLE, ORDER)))
                .reinterpretAsShorts();
        all3 = all3.add(sum);
        upper3 = upper3.add(sum.lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 8)));
      }
      ShortVector eight = ShortVector.broadcast(SHORT, 8);
      int s = to + lane;
      all0 = all0.sub(upper0.lanewise(VectorOperators.LSHL, eight));
      all0.rearrange(FIRST, upper0).intoArray(sums, s);
      all0.rearrange(SECOND, upper0).intoArray(sums, s + SHORTS);
      s += stride;
      all1 = all1.sub(upper1.lanewise(VectorOperators.LSHL, eight));
      all1.rearrange(FIRST, upper1).intoArray(sums, s);
      all1.rearrange(SECOND, upper1).intoArray(sums, s + SHORTS);
      s += stride;
      all2 = all2.sub(upper2.lanewise(VectorOperators.LSHL, eight));
      all2.rearrange(FIRST, upper2).intoArray(sums, s);
      all2.rearrange(SECOND, upper2).intoArray(sums, s + SHORTS);
      s += stride;
      all3 = all3.sub(upper3.lanewise(VectorOperators.LSHL, eight));
      all3.rearrange(FIRST, upper3).intoArray(sums, s);
      all3.rearrange(SECOND, upper3).intoArray(sums, s + SHORTS);
    }
  }

  /** Sums of one query head. */
  static void scan1(
      MemorySegment sketches,
      long quad,
      int sketchBytes,
      MemorySegment tables,
      long at,
      short[] sums,
      int to) {
    for (int lane = 0; lane < TOKENS; lane += BYTES) {
      ShortVector all = ShortVector.zero(SHORT);
      ShortVector upper = ShortVector.zero(SHORT);
      for (int i = 0; i < sketchBytes; i++) {
        ByteVector low =
            ByteVector.fromMemorySegment(BYTE, sketches, quad + i * (long) TOKENS + lane, ORDER);
        ByteVector high =
            low.reinterpretAsShorts()
                .lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 4))
                .reinterpretAsBytes();
        long t = at + i * 2L * SketchTables.TABLE;
        ShortVector sum =
            low.selectFrom(ByteVector.fromMemorySegment(BYTE, tables, t, ORDER))
                .add(
                    high.selectFrom(
                        ByteVector.fromMemorySegment(BYTE, tables, t + SketchTables.TABLE, ORDER)))
                .reinterpretAsShorts();
        all = all.add(sum);
        upper = upper.add(sum.lanewise(VectorOperators.LSHR, ShortVector.broadcast(SHORT, 8)));
      }
      all = all.sub(upper.lanewise(VectorOperators.LSHL, ShortVector.broadcast(SHORT, 8)));
      all.rearrange(FIRST, upper).intoArray(sums, to + lane);
      all.rearrange(SECOND, upper).intoArray(sums, to + lane + SHORTS);
    }
  }
}
