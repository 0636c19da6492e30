package dev.jacquard.tensor.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** Blocks written by hand, field by field, and the values that they hold. */
class BlockLayoutTest {
  private static final int ONE = 0x3C00;
  private static final int MINUS_HALF = 0xB800;
  private static final int INFINITY = 0x7C00;
  private static final int NAN = 0x7E00;

  private static float[] decode(ElementFormat format, byte[] blocks) {
    float[] y = new float[blocks.length / format.blockBytes() * format.blockSize()];
    format.decode(MemorySegment.ofArray(blocks), 0, y, 0, y.length);
    return y;
  }

  private static byte[] encode(ElementFormat format, float... x) {
    byte[] blocks = new byte[(int) format.bytes(x.length)];
    format.encode(x, 0, x.length, MemorySegment.ofArray(blocks), 0);
    return blocks;
  }

  private static byte[] block(ElementFormat format, int halfAt, int half) {
    byte[] block = new byte[format.blockBytes()];
    putHalf(block, halfAt, half);
    return block;
  }

  private static void putHalf(byte[] block, int at, int half) {
    block[at] = (byte) half;
    block[at + 1] = (byte) (half >> 8);
  }

  @Test
  void f16() {
    float[] y =
        decode(F16.INSTANCE, HexFormat.of().parseHex("003c" + "00c0" + "0100" + "ff03" + "ff7b"));
    assertArrayEquals(new float[] {1, -2, 0x1p-24f, 1023 * 0x1p-24f, 65504}, y);
    assertTrue(Float.isNaN(decode(F16.INSTANCE, new byte[] {0, 0x7E})[0]));
    assertEquals(Float.NEGATIVE_INFINITY, decode(F16.INSTANCE, new byte[] {0, (byte) 0xFC})[0]);
    // Ties to even, the least subnormal, its half (a tie: zero), overflow, signed zero, NaN.
    byte[] rounded =
        encode(F16.INSTANCE, 1 + 0x1p-11f, 0x1p-24f, 0x1p-25f, 65519, 65520, -0f, Float.NaN);
    assertEquals("003c" + "0100" + "0000" + "ff7b" + "007c" + "0080" + "007e", hex(rounded));
  }

  @Test
  void bf16() {
    float[] y = decode(BF16.INSTANCE, HexFormat.of().parseHex("803f" + "00c0" + "0100"));
    assertArrayEquals(new float[] {1, -2, 0x1p-133f}, y);
    assertTrue(Float.isNaN(decode(BF16.INSTANCE, new byte[] {(byte) 0xC0, 0x7F})[0]));
    float signallingNan = Float.intBitsToFloat(0xFF800001);
    byte[] rounded =
        encode(
            BF16.INSTANCE,
            1 + 0x1p-8f,
            1 + 3 * 0x1p-8f,
            Float.MAX_VALUE,
            Float.NEGATIVE_INFINITY,
            0x1p-133f,
            signallingNan);
    assertEquals("803f" + "823f" + "807f" + "80ff" + "0100" + "c0ff", hex(rounded));
  }

  @Test
  void q8_0() {
    byte[] block = block(Q8_0.INSTANCE, 0, MINUS_HALF);
    block[2] = 127;
    block[3] = -128;
    block[33] = 1;
    float[] y = decode(Q8_0.INSTANCE, block);
    assertEquals(-63.5f, y[0]);
    assertEquals(64f, y[1]);
    assertEquals(0f, y[2], 0);
    assertEquals(-0.5f, y[31]);
  }

  @Test
  void q4_0() {
    byte[] block = block(Q4_0.INSTANCE, 0, ONE);
    block[2] = (byte) 0xF0;
    block[17] = 0x1A;
    float[] y = decode(Q4_0.INSTANCE, block);
    assertEquals(-8f, y[0]);
    assertEquals(7f, y[16]);
    assertEquals(2f, y[15]);
    assertEquals(-7f, y[31]);
  }

  @Test
  void q5_0() {
    byte[] block = block(Q5_0.INSTANCE, 0, ONE);
    block[2] = 0b0000_0001; // fifth bit of element 0
    block[5] = (byte) 0b1000_0000; // fifth bit of element 31
    block[6] = 0x4F;
    block[21] = 0x30;
    float[] y = decode(Q5_0.INSTANCE, block);
    assertEquals(15f, y[0]);
    assertEquals(4f - 16, y[16]);
    assertEquals(0f - 16, y[15]);
    assertEquals(3f, y[31]);
  }

  @Test
  void q4_1() {
    byte[] block = block(Q4_1.INSTANCE, 0, ONE);
    putHalf(block, 2, MINUS_HALF);
    block[4] = (byte) 0xF0;
    block[19] = 0x1A;
    float[] y = decode(Q4_1.INSTANCE, block);
    assertEquals(-0.5f, y[0]);
    assertEquals(14.5f, y[16]);
    assertEquals(9.5f, y[15]);
    assertEquals(0.5f, y[31]);
  }

  @Test
  void q5_1() {
    byte[] block = block(Q5_1.INSTANCE, 0, ONE);
    putHalf(block, 2, MINUS_HALF);
    block[4] = 0b0000_0001; // fifth bit of element 0
    block[7] = (byte) 0b1000_0000; // fifth bit of element 31
    block[8] = 0x4F;
    block[23] = 0x30;
    float[] y = decode(Q5_1.INSTANCE, block);
    assertEquals(30.5f, y[0]);
    assertEquals(3.5f, y[16]);
    assertEquals(-0.5f, y[15]);
    assertEquals(18.5f, y[31]);
  }

  @Test
  void q5_K() {
    byte[] block = block(Q5_K.INSTANCE, 0, ONE);
    putHalf(block, 2, MINUS_HALF);
    // As in Q4_K, groups 1 and 5: s[1] = 5, s[5] = 0b10_0011, m[1] = 9, m[5] = 0b01_0110.
    block[4 + 1] = (byte) (0b10 << 6 | 5);
    block[4 + 5] = (byte) (0b01 << 6 | 9);
    block[4 + 9] = (byte) (0b0110 << 4 | 0b0011);
    block[16] = 0b10; // element 0 of group 1 has its fifth bit
    block[16 + 31] = 0b10_0000; // element 31 of group 5 too
    block[48] = 0x70; // element 0 of groups 0 and 1
    block[48 + 2 * 32 + 31] = (byte) 0xE0; // element 31 of groups 4 and 5
    float[] y = decode(Q5_K.INSTANCE, block);
    assertEquals(0f, y[0], 0);
    assertEquals(5 * (16 + 7) + 0.5f * 9, y[32]);
    assertEquals(0.5f * 9, y[33]);
    assertEquals(0b10_0011 * (16 + 14) + 0.5f * 0b01_0110, y[5 * 32 + 31]);
    assertEquals(0.5f * 0b01_0110, y[5 * 32]);
    assertEquals(0f, y[4 * 32], 0);
  }

  @Test
  void q4_K() {
    byte[] block = block(Q4_K.INSTANCE, 0, ONE);
    putHalf(block, 2, MINUS_HALF);
    // Groups 1 and 5: s[1] = 5, s[5] = 0b10_0011, m[1] = 9, m[5] = 0b01_0110.
    block[4 + 1] = (byte) (0b10 << 6 | 5);
    block[4 + 5] = (byte) (0b01 << 6 | 9);
    block[4 + 9] = (byte) (0b0110 << 4 | 0b0011);
    block[16] = 0x70; // element 0 of groups 0 and 1
    block[16 + 2 * 32 + 31] = (byte) 0xE0; // element 31 of groups 4 and 5
    float[] y = decode(Q4_K.INSTANCE, block);
    assertEquals(0f, y[0], 0);
    assertEquals(5 * 7 + 0.5f * 9, y[32]);
    assertEquals(0.5f * 9, y[33]);
    assertEquals(0b10_0011 * 14 + 0.5f * 0b01_0110, y[5 * 32 + 31]);
    assertEquals(0.5f * 0b01_0110, y[5 * 32]);
    assertEquals(0f, y[4 * 32], 0);
  }

  @Test
  void q6_K() {
    byte[] block = block(Q6_K.INSTANCE, 208, MINUS_HALF);
    for (int i = 0; i < 16; i++) {
      block[192 + i] = (byte) (i - 8);
    }
    // Element 128 + 96 + 20: low bits in the upper nibble of l[64 + 32 + 20], high in bits 6, 7.
    block[64 + 32 + 20] = (byte) 0xD0;
    block[128 + 32 + 20] = (byte) 0b1000_0000;
    // Element 5: low bits in the lower nibble of l[5], high in bits 0, 1 of h[5].
    block[5] = 0x03;
    block[128 + 5] = 0b11;
    float[] y = decode(Q6_K.INSTANCE, block);
    int group = (128 + 96 + 20) / 16;
    assertEquals(-0.5f * (group - 8) * (0b10_1101 - 32), y[128 + 96 + 20]);
    assertEquals(-0.5f * -8 * (0b11_0011 - 32), y[5]);
    assertEquals(-0.5f * -8 * -32, y[6]);
    assertEquals(0f, y[8 * 16], 0);
  }

  /** Subnormal half scales count: here the least one, 2^-24. */
  @Test
  void subnormalScales() {
    byte[] block = block(Q8_0.INSTANCE, 0, 1);
    block[2] = 3;
    assertEquals(3 * 0x1p-24f, decode(Q8_0.INSTANCE, block)[0]);
    byte[] q4 = block(Q4_0.INSTANCE, 0, 1);
    assertEquals(-8 * 0x1p-24f, decode(Q4_0.INSTANCE, q4)[0]);
  }

  /** A scale that is NaN or infinite is not hidden: IEEE arithmetic carries it on. */
  @Test
  void nonFiniteScalesReachTheValues() {
    for (ElementFormat format :
        new ElementFormat[] {Q8_0.INSTANCE, Q4_0.INSTANCE, Q5_0.INSTANCE, Q4_K.INSTANCE}) {
      for (float value : decode(format, block(format, 0, NAN))) {
        assertTrue(Float.isNaN(value), format.name());
      }
    }
    for (float value : decode(Q6_K.INSTANCE, block(Q6_K.INSTANCE, 208, NAN))) {
      assertTrue(Float.isNaN(value));
    }
    assertEquals(
        Float.NEGATIVE_INFINITY, decode(Q4_0.INSTANCE, block(Q4_0.INSTANCE, 0, INFINITY))[0]);
    // Zero times infinity.
    assertTrue(Float.isNaN(decode(Q8_0.INSTANCE, block(Q8_0.INSTANCE, 0, INFINITY))[0]));
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
