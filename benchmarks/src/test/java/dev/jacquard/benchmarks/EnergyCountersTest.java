package dev.jacquard.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Counters as Linux shows them, in a folder of our own. */
class EnergyCountersTest {
  @TempDir private Path folder = Path.of("");

  private void write(String zone, long microjoules) throws IOException {
    Path path = Files.createDirectories(folder.resolve(zone));
    Files.writeString(path.resolve("energy_uj"), microjoules + "\n");
    Files.writeString(path.resolve("max_energy_range_uj"), "10000000\n");
  }

  @Test
  void packagesAreAddedUpAndMayStartAgain() throws IOException {
    write("intel-rapl:0", 1_000_000);
    write("intel-rapl:0:0", 77);
    write("intel-rapl:1", 9_500_000);
    EnergyCounters counters = EnergyCounters.open(folder).orElseThrow();
    assertEquals(0, counters.joules());
    write("intel-rapl:0", 1_250_000);
    write("intel-rapl:0:0", 5_000_000);
    write("intel-rapl:1", 500_000);
    assertEquals(0.25 + 1, counters.joules(), 1e-9);
    write("intel-rapl:0", 2_250_000);
    assertEquals(0.25 + 1 + 1, counters.joules(), 1e-9);
  }

  @Test
  void withoutCountersThereAreNone() throws IOException {
    assertTrue(EnergyCounters.open(folder.resolve("none")).isEmpty());
    assertTrue(EnergyCounters.open(folder).isEmpty());
    write("intel-rapl:0", 5);
    Files.writeString(folder.resolve("intel-rapl:0/energy_uj"), "many");
    assertTrue(EnergyCounters.open(folder).isEmpty());
  }
}
