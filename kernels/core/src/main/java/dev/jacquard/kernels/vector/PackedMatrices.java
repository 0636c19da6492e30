package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.memory.MappedFile;
import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The matrices of a program in packed form, and the memory they live in: a file that was written
 * when the model was first opened, or memory of their own. Which format gets which layout is
 * decided here.
 */
final class PackedMatrices implements AutoCloseable {
  /** Less than this is packed in a moment and gets no file. */
  private static final long SMALL = 1L << 20;

  private final WarmUp warmUp;

  /** Throws if the memory has lost pages. */
  private final Runnable check;

  /** Frees the memory of all matrices. */
  private final Runnable release;

  private final Map<String, PackedMatrix> byName;
  private final Map<String, CoarsePlane> planes = new HashMap<>();
  private boolean closed;

  private PackedMatrices(
      PackingPlan plan, MemorySegment region, WarmUp warmUp, Runnable check, Runnable release) {
    this.warmUp = warmUp;
    this.check = check;
    this.release = release;
    Map<String, PackedMatrix> views = new HashMap<>();
    for (PackingPlan.Entry entry : plan.entries()) {
      Weight weight = entry.weight();
      MemorySegment tiles = region.asSlice(entry.offset(), entry.bytes());
      PackedMatrix packed = entry.layout().view(weight.rows(), weight.columns(), tiles);
      if (packed instanceof Q8_0PlanesMatrix matrix) {
        planes.put(weight.name(), new NibblePlane(matrix));
      }
      WarmUp.Kernel kernel = warmUp.kernel(entry.layout(), weight.tensor().format());
      views.put(weight.name(), new WarmingMatrix(packed, weight.tensor(), kernel));
    }
    byName = Map.copyOf(views);
  }

  /** The layout that matrices of {@code format} are packed in. */
  static PackedLayout layoutFor(ElementFormat format) {
    return switch (format.name()) {
      case "F16" -> F16Matrix.LAYOUT;
      case "BF16" -> BF16Matrix.LAYOUT;
      case "Q8_0" -> Q8_0Matrix.LAYOUT;
      case "Q4_0" -> Q4_0Matrix.LAYOUT;
      case "Q5_0" -> Q5_0Matrix.LAYOUT;
      case "Q4_K" -> Q4_KMatrix.LAYOUT;
      case "Q6_K" -> Q6_KMatrix.LAYOUT;
      case "F32" -> F32Matrix.LAYOUT;
      default -> F32Matrix.decoding(format);
    };
  }

  /** The layout that an output head of {@code format} is packed in. */
  static PackedLayout headLayoutFor(ElementFormat format) {
    return format.name().equals("Q8_0") ? Q8_0PlanesMatrix.LAYOUT : layoutFor(format);
  }

  /**
   * Packs every matrix, once per name, or maps the file that an earlier call wrote. Meanwhile their
   * kernels begin to warm up.
   *
   * @param heads those of the weights that are output heads
   * @param options names the file and is told the progress
   * @param pool its threads pack
   */
  static PackedMatrices pack(
      Collection<Weight> weights,
      Collection<Weight> heads,
      CompileOptions options,
      WorkerPool pool) {
    PackingPlan plan = PackingPlan.of(weights, heads);
    WarmUp warmUp = new WarmUp(plan.bytes());
    for (PackingPlan.Entry entry : plan.entries()) {
      warmUp.kernel(entry.layout(), entry.weight().tensor().format());
    }
    warmUp.start();
    try {
      MappedFile file = plan.bytes() < SMALL ? null : cached(plan, options, pool);
      PackedMatrices matrices =
          file == null
              ? inMemory(plan, options, pool, warmUp)
              : new PackedMatrices(
                  plan, PackedCache.region(file, plan), warmUp, file::requireIntact, file::close);
      options.progress().accept(1);
      return matrices;
    } catch (RuntimeException | Error e) {
      warmUp.close();
      throw e;
    }
  }

  private static @Nullable MappedFile cached(
      PackingPlan plan, CompileOptions options, WorkerPool pool) {
    Path path = options.cache();
    if (path == null) {
      return null;
    }
    MappedFile file = PackedCache.open(path, plan);
    return file != null ? file : PackedCache.write(path, plan, pool, options.progress());
  }

  private static PackedMatrices inMemory(
      PackingPlan plan, CompileOptions options, WorkerPool pool, WarmUp warmUp) {
    Arena arena = Arena.ofShared();
    try {
      MemorySegment region = arena.allocate(plan.bytes(), 64);
      for (PackingPlan.Entry entry : plan.entries()) {
        entry.pack(pool, region.asSlice(entry.offset(), entry.bytes()));
        options.progress().accept((double) (entry.offset() + entry.bytes()) / plan.bytes());
      }
      return new PackedMatrices(plan, region, warmUp, () -> {}, arena::close);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** The packed form of a weight that was given to {@link #pack}. */
  PackedMatrix get(Weight weight) {
    PackedMatrix matrix = byName.get(weight.name());
    if (matrix == null) {
      throw new IllegalArgumentException(weight + " was not packed");
    }
    return matrix;
  }

  /** What of a weight can be read in place of all of it, or null. */
  @Nullable CoarsePlane plane(Weight weight) {
    return planes.get(weight.name());
  }

  /**
   * Checks that a mapped file still has its bytes, before a step reads them. A file that is
   * shortened during a step ends the JVM: the kernels load vectors from it.
   *
   * @throws dev.jacquard.memory.JacquardException if the file was shortened
   */
  void requireIntact() {
    check.run();
  }

  /** Bytes of all packed matrices. */
  long bytes() {
    return byName.values().stream().mapToLong(PackedMatrix::bytes).sum();
  }

  /** Frees the memory; no matrix may be in use. Twice does nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      warmUp.close();
      release.run();
    }
  }
}
