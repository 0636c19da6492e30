package dev.jacquard.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * What a token of the bundled model costs by counting may not grow unnoticed: bytes, multiply-adds
 * and heap are compared with {@code docs/performance/cost-gate.json}. Who changes them on purpose
 * runs this test with {@code -Djacquard.cost.update=true} and commits the file.
 */
class CostGateTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final Path FILE = ROOT.resolve("docs/performance/cost-gate.json");
  private static final Path MODEL = ROOT.resolve("runtime/models/java-7m.Q8_0.gguf");

  /** Tokens at the border of what is read may fall on either side of it on another machine. */
  private static final double TOLERANCE = 0.01;

  /** Heap of a decoded token once everything is compiled, all threads together. */
  private static final long HEAP_BYTES = 1024;

  private static final int STEPS = 200;
  private static final List<String> VARIANTS =
      List.of("dense", "attention=budgeted:0.8", "attention=certified:0.01", "head=certified");
  private static final List<Integer> DEPTHS = List.of(0, 512, 1500);

  /** One line of the file. */
  record Entry(String variant, int depth, long bytes, long multiplyAdds) {}

  private static List<Entry> measured() {
    List<Entry> entries = new ArrayList<>();
    for (String variant : VARIANTS) {
      for (int depth : DEPTHS) {
        try (CostRun run = CostRun.open(MODEL, variant, depth, 2)) {
          CountedCost cost = run.count();
          entries.add(new Entry(variant, depth, cost.bytes(), cost.multiplyAdds()));
        }
      }
    }
    return entries;
  }

  @Test
  void bytesAndMultiplyAddsAreThoseOfTheFile() throws IOException {
    List<Entry> found = measured();
    if (Boolean.getBoolean("jacquard.cost.update")) {
      new ObjectMapper()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .writeValue(FILE.toFile(), found);
    }
    List<Entry> expected =
        new ObjectMapper().readValue(Files.readString(FILE), new TypeReference<List<Entry>>() {});
    assertEquals(expected.size(), found.size(), "entries of " + FILE);
    for (int i = 0; i < found.size(); i++) {
      Entry e = expected.get(i);
      Entry f = found.get(i);
      String what =
          "%s at depth %d: %s, expected %s; -Djacquard.cost.update=true writes the file anew"
              .formatted(f.variant, f.depth, f, e);
      assertEquals(e.variant, f.variant);
      assertEquals(e.depth, f.depth);
      double tolerance = f.variant.equals("dense") ? 0 : TOLERANCE;
      assertTrue(near(e.bytes, f.bytes, tolerance), what);
      assertTrue(near(e.multiplyAdds, f.multiplyAdds, tolerance), what);
    }
  }

  private static boolean near(long expected, long found, double tolerance) {
    return Math.abs(found - expected) <= Math.round(tolerance * expected);
  }

  @Test
  void whatIsLeftOutIsNotCounted() {
    List<Entry> found = measured();
    long dense = found.get(2).bytes;
    for (int v = 1; v < VARIANTS.size(); v++) {
      Entry entry = found.get(v * DEPTHS.size() + 2);
      assertTrue(entry.bytes < dense, entry + " reads no less than " + dense);
    }
  }

  @Test
  void aDecodedTokenAllocatesNextToNothing() {
    ThreadMXBean threads = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    try (CostRun run = CostRun.open(MODEL, "dense", 16, 2)) {
      long perToken = Long.MAX_VALUE;
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60); // until all is compiled
      while (perToken > HEAP_BYTES && System.nanoTime() < end) {
        long before = threads.getTotalThreadAllocatedBytes();
        for (int i = 0; i < STEPS; i++) {
          run.step();
        }
        perToken = (threads.getTotalThreadAllocatedBytes() - before) / STEPS;
      }
      assertTrue(perToken <= HEAP_BYTES, perToken + " bytes of heap a token");
    }
  }
}
