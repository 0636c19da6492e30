package dev.jacquard.modelfile;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * Looks at every value of a model: a value that is not finite, whether stored as such or made so by
 * the scale of its block, spoils all that is computed from it. Reads the whole file once.
 */
public final class ModelVerifier {
  /** Elements decoded at a time: whole blocks of every format. */
  private static final int CHUNK = 1 << 15;

  /**
   * A tensor with values that are not finite.
   *
   * @param tensor the tensor
   * @param nans how many are NaN
   * @param infinities how many are infinite
   * @param element index of the first of them, counted through the tensor
   * @param offset byte offset, in the tensor's file, of the block that holds it
   */
  public record Fault(TensorInfo tensor, long nans, long infinities, long element, long offset) {
    @Override
    public String toString() {
      return "%s, byte %d: tensor %s has %d NaN and %d infinite values, the first at row %d, column %d"
          .formatted(
              tensor.file(),
              offset,
              tensor.name(),
              nans,
              infinities,
              element / tensor.shape().columns(),
              element % tensor.shape().columns());
    }
  }

  /**
   * What was found.
   *
   * @param verified tensors whose values were read
   * @param skipped tensors in number formats that cannot be decoded here
   * @param faults tensors with values that are not finite
   */
  public record Report(int verified, List<TensorInfo> skipped, List<Fault> faults) {
    /** Copies. */
    public Report {
      skipped = List.copyOf(skipped);
      faults = List.copyOf(faults);
    }
  }

  private ModelVerifier() {}

  /**
   * Reads all tensors of {@code file}, on the calling thread.
   *
   * @param progress told now and then how many bytes of tensors are done
   * @throws dev.jacquard.memory.JacquardException if the file was shortened meanwhile
   */
  public static Report verify(ModelFile file, LongConsumer progress) {
    List<TensorInfo> skipped = new ArrayList<>();
    List<Fault> faults = new ArrayList<>();
    int verified = 0;
    long done = 0;
    for (TensorInfo info : file.tensors()) {
      if (ElementFormats.byGgmlType(info.typeNumber()).isPresent()) {
        file.requireIntact();
        Scan scan = new Scan(info);
        try {
          scan.run(file.tensor(info.name()).orElseThrow(), done, progress);
        } catch (InternalError e) {
          // The JVM's answer when a mapped page is no longer in the file.
          file.requireIntact();
          throw e;
        }
        verified++;
        if (scan.first >= 0) {
          faults.add(scan.fault());
        }
      } else {
        skipped.add(info);
      }
      done += info.bytes();
      progress.accept(done);
    }
    file.requireIntact();
    return new Report(verified, skipped, faults);
  }

  private static final class Scan {
    private final TensorInfo info;
    private long nans;
    private long infinities;
    private long first = -1;
    private long offset;

    Scan(TensorInfo info) {
      this.info = info;
    }

    void run(Tensor tensor, long before, LongConsumer progress) {
      ElementFormat format = tensor.format();
      long elements = tensor.shape().elements();
      float[] values = new float[(int) Math.min(CHUNK, elements)];
      for (long start = 0; start < elements; start += CHUNK) {
        int count = (int) Math.min(CHUNK, elements - start);
        long bytes = format.bytes(start);
        format.decode(tensor.data(), bytes, values, 0, count);
        for (int i = 0; i < count; i++) {
          if (!Float.isFinite(values[i])) {
            add(values[i], start + i, format);
          }
        }
        progress.accept(before + bytes);
      }
    }

    private void add(float value, long element, ElementFormat format) {
      if (Float.isNaN(value)) {
        nans++;
      } else {
        infinities++;
      }
      if (first < 0) {
        first = element;
        offset = info.offset() + element / format.blockSize() * format.blockBytes();
      }
    }

    Fault fault() {
      return new Fault(info, nans, infinities, first, offset);
    }
  }
}
