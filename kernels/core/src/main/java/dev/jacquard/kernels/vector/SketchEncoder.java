package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.DOUBLE;
import static dev.jacquard.kernels.vector.Lanes.DOUBLES;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;

/**
 * Writes sketches of the keys of one head. Vector lanes are channels; each channel's sum is in
 * double, in the order of the key's values, which gives the bits of the reference.
 */
final class SketchEncoder {
  /** Channels are filled up to a multiple of this: two vectors of the widest kind. */
  private static final int BLOCK = 16;

  private final SketchBasis basis;

  /** {@code toKey[i · stride + c]}, filled up with zeros. */
  private final double[] toKey;

  private final int stride;

  /** Buffers of a thread. */
  private static final class Buffers {
    private static final ThreadLocal<Buffers> OF_THREAD = ThreadLocal.withInitial(Buffers::new);
    private double[] key = {};
    private double[] channels = {};
    private byte[] bytes = {};

    static Buffers of(int size, int channels) {
      Buffers buffers = OF_THREAD.get();
      if (buffers.key.length < size) {
        buffers.key = new double[size];
        // One more, for bits that do not come.
        buffers.bytes = new byte[QuantizedKv.sketchBytes(size) + 1];
      }
      if (buffers.channels.length < channels) {
        buffers.channels = new double[channels];
      }
      return buffers;
    }
  }

  SketchEncoder(SketchBasis basis) {
    this.basis = basis;
    stride = (basis.channels() + BLOCK - 1) / BLOCK * BLOCK;
    toKey = new double[basis.size() * stride];
    for (int c = 0; c < basis.channels(); c++) {
      for (int i = 0; i < basis.size(); i++) {
        toKey[i * stride + c] = basis.toKey()[c * basis.size() + i];
      }
    }
  }

  SketchBasis basis() {
    return basis;
  }

  /**
   * Writes the sketch of {@code key[0 …]}.
   *
   * @param at where its byte 0 goes; byte j goes to {@code at + j · SKETCH_TOKENS}
   */
  void write(float[] key, MemorySegment target, long at) {
    int size = basis.size();
    Buffers buffers = Buffers.of(size, stride);
    for (int i = 0; i < size; i++) {
      buffers.key[i] = (double) key[i] - basis.mean()[i];
    }
    for (int c = 0; c < stride; c += 2 * DOUBLES) {
      project(buffers.key, size, c, buffers.channels);
    }
    pack(buffers.channels, buffers.bytes);
    int bytes = QuantizedKv.sketchBytes(size);
    for (int j = 0; j < bytes; j++) {
      target.set(
          ValueLayout.JAVA_BYTE, at + (long) j * Q8KvStorage.SKETCH_TOKENS, buffers.bytes[j]);
    }
  }

  /** Two vectors of channels. */
  private void project(double[] key, int size, int channel, double[] channels) {
    DoubleVector s0 = DoubleVector.zero(DOUBLE);
    DoubleVector s1 = DoubleVector.zero(DOUBLE);
    int at = channel;
    for (int i = 0; i < size; i++) {
      DoubleVector x = DoubleVector.broadcast(DOUBLE, key[i]);
      DoubleVector m0 = DoubleVector.fromArray(DOUBLE, toKey, at);
      DoubleVector m1 = DoubleVector.fromArray(DOUBLE, toKey, at + DOUBLES);
      s0 = s0.add(m0.mul(x));
      s1 = s1.add(m1.mul(x));
      at += stride;
    }
    s0.intoArray(channels, channel);
    s1.intoArray(channels, channel + DOUBLES);
  }

  /** Codes, lowest bit first, channel after channel; zeros behind the last. */
  private void pack(double[] channels, byte[] bytes) {
    int filled = 0;
    int bits = 0;
    int count = 0;
    for (int c = 0; c < basis.channels(); c++) {
      int width = basis.bits()[c];
      int middle = 1 << (width - 1);
      long interval = (long) Math.floor(channels[c] / basis.step()[c]);
      bits |= Math.clamp(interval + middle, 0, 2 * middle - 1) << filled;
      filled += width;
      if (filled >= Byte.SIZE) {
        bytes[count++] = (byte) bits;
        bits >>>= Byte.SIZE;
        filled -= Byte.SIZE;
      }
    }
    bytes[count++] = (byte) bits;
    Arrays.fill(bytes, count, bytes.length, (byte) 0);
  }
}
