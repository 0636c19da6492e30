package dev.jacquard.modelfile;

import dev.jacquard.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What stands before the data of one GGUF file, read and checked.
 *
 * <pre>
 *  "GGUF" | version u32 | tensors u64 | pairs u64
 *  pairs:   key string  | type u32 | value
 *  tensors: name string | dimensions u32 | sizes u64 … | type u32 | offset u64
 *  padding to the alignment, then the data; offsets count from there
 * </pre>
 *
 * @param metadata key/value pairs in file order, as {@link ModelMetadata} describes them
 * @param stored where each value lies in the file, its type included
 * @param tensors in file order, each within the file and free of overlap
 */
record GgufHeader(
    Map<String, Object> metadata, Map<String, Extent> stored, List<TensorInfo> tensors) {
  /** Bytes from {@code start} to before {@code end}. */
  record Extent(long start, long end) {}

  static final String ALIGNMENT_KEY = "general.alignment";
  static final int DEFAULT_ALIGNMENT = 32;
  static final int MAX_TENSOR_NAME = 64;

  private static final int MAX_KEY = 65535;
  private static final int MAX_DIMENSIONS = 4;
  private static final int MAX_NESTING = 4;

  /** A key takes a length, a character, a type and a value of one byte. */
  private static final int MIN_PAIR_BYTES = 8 + 1 + 4 + 1;

  /** A tensor takes a name of one character, a count, one size, a type and an offset. */
  private static final int MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8;

  /** A tensor as it is declared: {@code offset} counts from the data, found at {@code place}. */
  private record Declaration(
      String name, GgmlTypes.Type type, Shape shape, long bytes, long offset, long place) {}

  /**
   * Reads the header of {@code file}, mapped as {@code bytes}.
   *
   * @throws ModelFormatException if anything is wrong with it
   */
  static GgufHeader read(Path file, MemorySegment bytes) {
    Magic.requireGguf(file, bytes);
    GgufCursor in = new GgufCursor(file, bytes);
    in.int64(); // magic and version
    int tensorCount = in.count("tensors", MIN_TENSOR_BYTES);
    int pairCount = in.count("metadata pairs", MIN_PAIR_BYTES);

    Map<String, Object> metadata = new LinkedHashMap<>();
    Map<String, Extent> stored = new HashMap<>();
    int alignment = DEFAULT_ALIGNMENT;
    for (int i = 0; i < pairCount; i++) {
      in.enter("metadata pair " + i);
      long start = in.position();
      String key = in.name("a key", MAX_KEY);
      in.enter("metadata " + key);
      if (metadata.containsKey(key)) {
        throw in.fault(start, "every key once", key + " for the second time");
      }
      long valueStart = in.position();
      if (key.equals(ALIGNMENT_KEY)) {
        alignment = alignment(in);
        metadata.put(key, (long) alignment);
      } else {
        metadata.put(key, value(in, in.type(), 0));
      }
      stored.put(key, new Extent(valueStart, in.position()));
    }

    List<Declaration> declarations = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (int i = 0; i < tensorCount; i++) {
      in.enter("tensor " + i);
      long start = in.position();
      Declaration tensor = declaration(in);
      if (!names.add(tensor.name)) {
        throw in.fault(start, "every tensor once", tensor.name + " for the second time");
      }
      declarations.add(tensor);
    }
    return new GgufHeader(
        metadata, stored, place(in, file, bytes.byteSize(), alignment, declarations));
  }

  private static int alignment(GgufCursor in) {
    long start = in.position();
    GgufType type = in.type();
    if (type != GgufType.UINT32) {
      throw in.fault(start, "an alignment of type UINT32", type.toString());
    }
    int alignment = in.int32();
    if (alignment <= 0 || Integer.bitCount(alignment) != 1) {
      throw in.fault(
          start + Integer.BYTES,
          "an alignment that is a power of two below 2^31",
          Integer.toUnsignedString(alignment));
    }
    return alignment;
  }

  private static Object value(GgufCursor in, GgufType type, int depth) {
    return switch (type) {
      case UINT8, INT8, UINT16, INT16, UINT32, INT32, INT64 -> integer(in, type);
      case UINT64 -> {
        long bits = in.int64();
        yield bits >= 0 ? (Object) bits : new BigInteger(Long.toUnsignedString(bits));
      }
      case FLOAT32 -> (double) in.float32();
      case FLOAT64 -> in.float64();
      case BOOL -> in.int8() != 0;
      case STRING -> in.text();
      case ARRAY -> array(in, depth + 1);
    };
  }

  private static long integer(GgufCursor in, GgufType type) {
    return switch (type) {
      case UINT8 -> Byte.toUnsignedLong(in.int8());
      case INT8 -> in.int8();
      case UINT16 -> Short.toUnsignedLong(in.int16());
      case INT16 -> in.int16();
      case UINT32 -> Integer.toUnsignedLong(in.int32());
      case INT32 -> in.int32();
      case UINT64, INT64 -> in.int64();
      case FLOAT32, FLOAT64, BOOL, STRING, ARRAY -> throw new AssertionError(type);
    };
  }

  private static Object array(GgufCursor in, int depth) {
    long start = in.position();
    if (depth > MAX_NESTING) {
      throw in.fault(start, "arrays nested at most " + MAX_NESTING + " deep", "a deeper one");
    }
    GgufType type = in.type();
    int count = in.count(type + " elements", type.minimumBytes());
    return switch (type) {
      case INT32 -> {
        int[] values = new int[count];
        in.int32s(values);
        yield values;
      }
      case FLOAT32 -> {
        float[] values = new float[count];
        in.float32s(values);
        yield values;
      }
      case FLOAT64 -> {
        double[] values = new double[count];
        in.float64s(values);
        yield values;
      }
      case BOOL -> {
        boolean[] values = new boolean[count];
        for (int i = 0; i < count; i++) {
          values[i] = in.int8() != 0;
        }
        yield values;
      }
      case STRING -> {
        String[] values = new String[count];
        for (int i = 0; i < count; i++) {
          values[i] = in.text();
        }
        yield values;
      }
      case ARRAY -> {
        Object[] values = new Object[count];
        for (int i = 0; i < count; i++) {
          values[i] = array(in, depth + 1);
        }
        yield values;
      }
      case UINT8, INT8, UINT16, INT16, UINT32, INT64, UINT64 -> integers(in, type, count);
    };
  }

  /** An {@code int[]} where all values fit, else a {@code long[]}. */
  private static Object integers(GgufCursor in, GgufType type, int count) {
    int[] values = new int[count];
    for (int i = 0; i < count; i++) {
      long value = integer(in, type);
      if (value != (int) value) {
        return widened(in, type, values, i, value);
      }
      values[i] = (int) value;
    }
    return values;
  }

  private static long[] widened(
      GgufCursor in, GgufType type, int[] before, int filled, long first) {
    long[] values = new long[before.length];
    for (int i = 0; i < filled; i++) {
      values[i] = before[i];
    }
    values[filled] = first;
    for (int i = filled + 1; i < values.length; i++) {
      values[i] = integer(in, type);
    }
    return values;
  }

  private static Declaration declaration(GgufCursor in) {
    String name = in.name("a tensor name", MAX_TENSOR_NAME);
    in.enter("tensor " + name);

    long start = in.position();
    int dimensions = in.int32();
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
      throw in.fault(
          start, "1 to " + MAX_DIMENSIONS + " dimensions", Integer.toUnsignedString(dimensions));
    }
    List<Long> sizes = new ArrayList<>();
    long elements = 1;
    for (int i = 0; i < dimensions; i++) {
      long place = in.position();
      long size = in.int64();
      if (size <= 0) {
        throw in.fault(place, "a positive size of dimension " + i, String.valueOf(size));
      }
      if (Math.multiplyHigh(elements, size) != 0 || elements * size < 0) {
        throw in.fault(place, "fewer than 2^63 elements", elements + " times " + size);
      }
      elements *= size;
      sizes.add(size);
    }

    long place = in.position();
    int number = in.int32();
    GgmlTypes.Type type =
        GgmlTypes.byNumber(number)
            .orElseThrow(
                () ->
                    in.fault(
                        place,
                        "the number of a number format of ggml",
                        GgmlTypes.describeUnknown(number)));
    if (sizes.getFirst() % type.blockSize() != 0) {
      throw in.fault(
          start + Integer.BYTES,
          "rows of whole " + type.name() + " blocks of " + type.blockSize(),
          "rows of " + sizes.getFirst());
    }
    long blocks = elements / type.blockSize();
    if (blocks > Long.MAX_VALUE / type.blockBytes()) {
      throw in.fault(start, "fewer than 2^63 bytes", elements + " elements of " + type.name());
    }
    long offset = in.position();
    return new Declaration(
        name, type, new Shape(sizes), blocks * type.blockBytes(), in.int64(), offset);
  }

  /** Finds the tensors in the file: each aligned, inside, and apart from all others. */
  private static List<TensorInfo> place(
      GgufCursor in, Path file, long fileBytes, int alignment, List<Declaration> declarations) {
    long data = (in.position() + alignment - 1) & -alignment;
    long dataBytes = Math.max(0, fileBytes - data);
    List<TensorInfo> tensors = new ArrayList<>();
    for (Declaration d : declarations) {
      in.enter("tensor " + d.name);
      if ((d.offset & (alignment - 1)) != 0) {
        throw in.fault(
            d.place,
            "a data offset that is a multiple of " + alignment,
            Long.toUnsignedString(d.offset));
      }
      if (d.offset < 0 || d.offset > dataBytes || d.bytes > dataBytes - d.offset) {
        throw in.fault(
            d.place,
            d.bytes + " bytes within the " + dataBytes + " bytes of data",
            "data offset " + Long.toUnsignedString(d.offset));
      }
      tensors.add(
          new TensorInfo(
              d.name, d.type.name(), d.type.number(), d.shape, file, data + d.offset, d.bytes));
    }
    requireApart(file, tensors);
    return List.copyOf(tensors);
  }

  private static void requireApart(Path file, List<TensorInfo> tensors) {
    List<TensorInfo> sorted = new ArrayList<>(tensors);
    sorted.sort(Comparator.comparingLong(TensorInfo::offset));
    for (int i = 1; i < sorted.size(); i++) {
      TensorInfo before = sorted.get(i - 1);
      TensorInfo tensor = sorted.get(i);
      if (before.offset() + before.bytes() > tensor.offset()) {
        throw new ModelFormatException(
            file,
            tensor.offset(),
            "tensors that do not overlap",
            tensor.name() + " before the end of " + before.name());
      }
    }
  }
}
