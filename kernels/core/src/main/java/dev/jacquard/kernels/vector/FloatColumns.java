package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Columns in halves, bfloat16 or floats: a neuron's row in a strip is 64 numbers. Also the layout
 * of last resort: any format that can be decoded can be stored as floats.
 */
final class FloatColumns extends DownColumns {
  /** How a number is stored. */
  enum Storage {
    HALF(2),
    BFLOAT(2),
    FLOAT(4);

    private final int bytes;

    Storage(int bytes) {
      this.bytes = bytes;
    }

    static Storage of(ElementFormat format) {
      return switch (format.name()) {
        case "F16" -> HALF;
        case "BF16" -> BFLOAT;
        default -> FLOAT;
      };
    }
  }

  private static final int STRIP = 64;

  /** Neurons that are expanded together: 16 KiB of floats. */
  private static final int STEP = 64;

  private static final ValueLayout.OfFloat VALUE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(Lanes.ORDER);

  private final Storage storage;
  private final MemorySegment data;
  private final long rowBytes;
  private final long stripBytes;

  private FloatColumns(Storage storage, int width, int neurons, MemorySegment data) {
    super(width, neurons);
    this.storage = storage;
    this.data = data;
    rowBytes = (long) STRIP * storage.bytes;
    stripBytes = neurons * rowBytes;
  }

  /** Bytes that a matrix takes. */
  static long bytes(Storage storage, int width, int neurons) {
    return (long) (width + STRIP - 1) / STRIP * STRIP * storage.bytes * neurons;
  }

  @Override
  int stripWidth() {
    return STRIP;
  }

  @Override
  long bytes() {
    return strips() * stripBytes;
  }

  @Override
  long bytes(int[] list, int count) {
    return (long) strips() * count * rowBytes;
  }

  /** Rows are two lines and more: there is little to gain. */
  @Override
  DownColumns gathered(int[] list, SegmentAllocator memory) {
    return this;
  }

  @Override
  void add(int strip, int chunk, int[] list, float[] values, int from, int to, Scratch scratch) {
    for (int first = from; first < to; first += STEP) {
      int count = Math.min(STEP, to - first);
      for (int j = 0; j < count; j++) {
        long at = strip * stripBytes + list[first + j] * rowBytes;
        switch (storage) {
          case HALF -> scratch.copyHalves(data, at, STRIP, j * STRIP);
          case BFLOAT -> Scratch.bfloatsToFloats(data, at, STRIP, scratch.panel, j * STRIP);
          case FLOAT -> MemorySegment.copy(data, VALUE, at, scratch.panel, j * STRIP, STRIP);
        }
      }
      if (storage == Storage.HALF) {
        scratch.copiedHalvesToFloats(count * STRIP, scratch.panel);
      }
      for (int lane = 0; lane < STRIP; lane += 4 * FLOATS) {
        addLanes(scratch.panel, lane, values, first, count, scratch.sums);
      }
    }
  }

  private static void addLanes(
      float[] panel, int lane, float[] values, int first, int count, float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    FloatVector sum2 = FloatVector.fromArray(FLOAT, sums, lane + 2 * FLOATS);
    FloatVector sum3 = FloatVector.fromArray(FLOAT, sums, lane + 3 * FLOATS);
    for (int j = 0; j < count; j++) {
      int at = j * STRIP + lane;
      FloatVector x = FloatVector.broadcast(FLOAT, values[first + j]);
      sum0 = FloatVector.fromArray(FLOAT, panel, at).fma(x, sum0);
      sum1 = FloatVector.fromArray(FLOAT, panel, at + FLOATS).fma(x, sum1);
      sum2 = FloatVector.fromArray(FLOAT, panel, at + 2 * FLOATS).fma(x, sum2);
      sum3 = FloatVector.fromArray(FLOAT, panel, at + 3 * FLOATS).fma(x, sum3);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
    sum2.intoArray(sums, lane + 2 * FLOATS);
    sum3.intoArray(sums, lane + 3 * FLOATS);
  }

  /** A matrix over packed strips. */
  static FloatColumns view(Storage storage, int width, int neurons, MemorySegment data) {
    return new FloatColumns(storage, width, neurons, data);
  }

  /** Writes a strip of {@code down} to {@code target}, which holds zeros. */
  static void pack(Tensor down, Storage storage, int strip, MemorySegment target) {
    int first = strip * STRIP;
    int neurons = down.columns();
    float[] row = storage == Storage.FLOAT ? new float[neurons] : new float[0];
    for (int o = 0; o < Math.min(STRIP, down.rows() - first); o++) {
      long to = ((long) strip * neurons * STRIP + o) * storage.bytes;
      long step = (long) STRIP * storage.bytes;
      switch (storage) {
        case HALF, BFLOAT -> {
          long from = (first + o) * down.rowBytes();
          for (int i = 0; i < neurons; i++) {
            Packing.copyHalf(down.data(), from + 2L * i, target, to + i * step);
          }
        }
        case FLOAT -> {
          down.decodeRow(first + o, row, 0);
          for (int i = 0; i < neurons; i++) {
            Packing.putFloat(target, to + i * step, row[i]);
          }
        }
      }
    }
  }
}
