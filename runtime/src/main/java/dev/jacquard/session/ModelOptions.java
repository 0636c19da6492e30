package dev.jacquard.session;

import dev.jacquard.kernels.KvFormat;
import java.util.function.DoubleConsumer;

/**
 * How a model is opened.
 *
 * @param backend name of the backend ({@code vector}, {@code reference}), or {@code auto}
 * @param threads platform threads that compute
 * @param context most tokens of a session; 0 for the model's own limit
 * @param batchSize most rows of a step
 * @param kvFormat how cached keys and values are rounded
 * @param progress told the finished share, 0 to 1, while weights are repacked
 */
public record ModelOptions(
    String backend,
    int threads,
    int context,
    int batchSize,
    KvFormat kvFormat,
    DoubleConsumer progress) {
  /** The best backend, a thread per core, the model's context, batches of 512, F16 cache. */
  public static final ModelOptions DEFAULT =
      new ModelOptions(
          "auto", Runtime.getRuntime().availableProcessors(), 0, 512, KvFormat.F16, share -> {});

  /** Checks. */
  public ModelOptions {
    if (threads < 1 || context < 0 || batchSize < 1) {
      throw new IllegalArgumentException(
          "threads ≥ 1, context ≥ 0 and batch size ≥ 1, not "
              + threads
              + ", "
              + context
              + ", "
              + batchSize);
    }
  }

  /** The same on another backend. */
  public ModelOptions withBackend(String name) {
    return new ModelOptions(name, threads, context, batchSize, kvFormat, progress);
  }

  /** The same with another number of threads. */
  public ModelOptions withThreads(int count) {
    return new ModelOptions(backend, count, context, batchSize, kvFormat, progress);
  }

  /** The same with another context limit. */
  public ModelOptions withContext(int tokens) {
    return new ModelOptions(backend, threads, tokens, batchSize, kvFormat, progress);
  }

  /** The same with other batches. */
  public ModelOptions withBatchSize(int rows) {
    return new ModelOptions(backend, threads, context, rows, kvFormat, progress);
  }

  /** The same with another cache format. */
  public ModelOptions withKvFormat(KvFormat format) {
    return new ModelOptions(backend, threads, context, batchSize, format, progress);
  }

  /** The same with somebody who watches. */
  public ModelOptions withProgress(DoubleConsumer watcher) {
    return new ModelOptions(backend, threads, context, batchSize, kvFormat, watcher);
  }
}
