package dev.jacquard.benchmarks;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.format.F16;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What quantising costs on one thread: nanoseconds for a weight in F16 that is decoded and encoded
 * again, without and with importances. 2 bytes in so many nanoseconds are the MB/s of a thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@OperationsPerInvocation(EncodeBenchmark.WEIGHTS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class EncodeBenchmark {
  static final int WEIGHTS = 1 << 16;
  private static final int COLUMNS = 2048;

  /** Number format. */
  @Param({"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"})
  String format = "";

  private ElementFormat target = F16.INSTANCE;
  private final byte[] halves = new byte[WEIGHTS * Short.BYTES];
  private final float[] values = new float[WEIGHTS];
  private final float[] importance = new float[COLUMNS];
  private byte[] blocks = {};

  /** Makes weights, and checks what comes back from them. */
  @Setup
  public void setUp() {
    target = ElementFormats.byName(format).orElseThrow();
    blocks = new byte[Math.toIntExact(target.bytes(WEIGHTS))];
    Random random = new Random(1);
    for (int i = 0; i < WEIGHTS; i++) {
      values[i] = (float) (0.02 * random.nextGaussian());
    }
    for (int i = 0; i < COLUMNS; i++) {
      importance[i] = (float) Math.exp(random.nextGaussian());
    }
    F16.INSTANCE.encode(values, 0, WEIGHTS, MemorySegment.ofArray(halves), 0);
    encode();
    requireClose("encode");
    encodeWithImportances();
    requireClose("encodeRow");
  }

  private void requireClose(String what) {
    F16.INSTANCE.decode(MemorySegment.ofArray(halves), 0, values, 0, WEIGHTS);
    float[] again = new float[WEIGHTS];
    target.decode(MemorySegment.ofArray(blocks), 0, again, 0, WEIGHTS);
    double error = 0;
    double squares = 0;
    for (int i = 0; i < WEIGHTS; i++) {
      error += Math.pow(again[i] - values[i], 2);
      squares += Math.pow(values[i], 2);
    }
    if (!(error < 0.02 * squares)) {
      throw new IllegalStateException(what + " of " + format + " loses " + error / squares);
    }
  }

  /** As without an importance matrix. */
  @Benchmark
  public byte[] encode() {
    F16.INSTANCE.decode(MemorySegment.ofArray(halves), 0, values, 0, WEIGHTS);
    target.encode(values, 0, WEIGHTS, MemorySegment.ofArray(blocks), 0);
    return blocks;
  }

  /** As with an importance matrix. */
  @Benchmark
  public byte[] encodeWithImportances() {
    F16.INSTANCE.decode(MemorySegment.ofArray(halves), 0, values, 0, WEIGHTS);
    MemorySegment rows = MemorySegment.ofArray(blocks);
    for (int at = 0; at < WEIGHTS; at += COLUMNS) {
      target.encodeRow(values, at, importance, rows, target.bytes(at));
    }
    return blocks;
  }
}
