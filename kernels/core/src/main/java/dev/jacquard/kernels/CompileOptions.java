package dev.jacquard.kernels;

import java.nio.file.Path;
import java.util.function.DoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * How a program is compiled.
 *
 * @param maxRows most rows of a step
 * @param maxOutputs most output rows of a step
 * @param cache file that the backend may keep repacked weights in, or null for none: it is named
 *     after the model's content, so that what it holds can be trusted if it is complete
 * @param progress told the finished share, 0 to 1, while weights are repacked; on the calling
 *     thread
 */
public record CompileOptions(
    int maxRows, int maxOutputs, @Nullable Path cache, DoubleConsumer progress) {
  /** No cache file and nobody who watches. */
  public static CompileOptions of(int maxRows, int maxOutputs) {
    return new CompileOptions(maxRows, maxOutputs, null, share -> {});
  }
}
