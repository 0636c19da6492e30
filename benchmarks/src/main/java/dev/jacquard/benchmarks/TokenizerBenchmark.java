package dev.jacquard.benchmarks;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Megabytes of text per second: Java source, and one long line of a single letter. */
@SuppressWarnings("NullAway.Init") // JMH fills the fields
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class TokenizerBenchmark {
  @Param("")
  public String model;

  @Param({"source", "aaaa"})
  public String text;

  private Tokenizer tokenizer;
  private String input;
  private int bytes;

  /** Bytes that went through, for JMH to divide by the time. */
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  @State(Scope.Thread)
  public static class Traffic {
    /** Megabytes. */
    public double megabytes;
  }

  /** Opens the vocabulary and checks that encoding and decoding is the identity. */
  @Setup
  public void setUp() {
    Path path = BenchmarkModel.path(model);
    try (GgufFile file = GgufFile.open(path)) {
      tokenizer = Tokenizers.of(file.metadata());
    }
    input = text.equals("source") ? BenchmarkModel.sourceText(1 << 20) : "a".repeat(1 << 20);
    bytes = input.getBytes(StandardCharsets.UTF_8).length;
    String back = tokenizer.decode(tokenizer.encode(input, Tokenizer.Options.PLAIN));
    if (!back.equals(input)) {
      throw new IllegalStateException("decoding the ids does not give the text back");
    }
  }

  /** Encodes a megabyte. */
  @Benchmark
  public int encode(Traffic traffic) {
    traffic.megabytes += bytes * 1e-6;
    return tokenizer.encode(input, Tokenizer.Options.PLAIN).length;
  }
}
