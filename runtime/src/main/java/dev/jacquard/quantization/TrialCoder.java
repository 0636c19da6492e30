package dev.jacquard.quantization;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** Encodes whole tensors in memory, on several threads, to see what that costs. */
final class TrialCoder implements AutoCloseable {
  /** Elements that a thread encodes at a time, about. */
  private static final int CHUNK = 1 << 16;

  private final GgufFile file;
  private final @Nullable ImportanceMatrix importance;
  private final ExecutorService workers;

  /**
   * A tensor in another format.
   *
   * @param error Σ importance · (new − old)²; importances are 1 where none were measured
   */
  record Encoded(Tensor tensor, double error) {}

  TrialCoder(GgufFile file, @Nullable ImportanceMatrix importance, int threads) {
    this.file = file;
    this.importance = importance;
    workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("jacquard-trial-", 1).daemon().factory());
  }

  /**
   * Encodes a tensor as {@link Quantizer} would.
   *
   * @param arena a shared one, in which the new tensor lies
   */
  Encoded encode(TensorInfo info, ElementFormat format, Arena arena) {
    Tensor source = file.tensor(info.name()).orElseThrow();
    MemorySegment target = arena.allocate(format.bytes(info.shape().elements()), 64);
    float[][] importances = importance == null ? null : importance.of(info).orElse(null);
    int columns = source.columns();
    int rows = Math.max(1, CHUNK / columns);
    List<Callable<Double>> parts = new ArrayList<>();
    for (int first = 0; first < source.rows(); first += rows) {
      int from = first;
      int to = Math.min(source.rows(), first + rows);
      parts.add(() -> encode(source, format, importances, from, to, target));
    }
    return new Encoded(new Tensor(format, info.shape(), target), sum(parts));
  }

  private double sum(List<Callable<Double>> parts) {
    double sum = 0;
    try {
      for (Future<Double> part : workers.invokeAll(parts)) {
        sum += part.get();
      }
      return sum;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while encoding", e);
    }
  }

  private static double encode(
      Tensor source,
      ElementFormat format,
      float @Nullable [][] importances,
      int from,
      int to,
      MemorySegment target) {
    int columns = source.columns();
    float[] ones = new float[columns];
    Arrays.fill(ones, 1);
    float[] values = new float[columns];
    float[] again = new float[columns];
    double error = 0;
    for (int row = from; row < to; row++) {
      source.decodeRow(row, values, 0);
      long at = row * format.bytes(columns);
      float[] importance = ones;
      if (importances == null) {
        format.encode(values, 0, columns, target, at);
      } else {
        importance = importances[row / (source.rows() / importances.length)];
        format.encodeRow(values, 0, importance, target, at);
      }
      format.decode(target, at, again, 0, columns);
      for (int i = 0; i < columns; i++) {
        double difference = (double) again[i] - values[i];
        error += importance[i] * difference * difference;
      }
    }
    return error;
  }

  @Override
  public void close() {
    workers.shutdownNow();
    workers.close();
  }
}
