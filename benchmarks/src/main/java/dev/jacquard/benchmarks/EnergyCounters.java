package dev.jacquard.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The energy counters of the processor's packages (RAPL) as Linux shows them in {@code
 * /sys/class/powercap/intel-rapl:N}: microjoules that start again at a maximum. Most systems let
 * only root read them, and virtual machines seldom have them.
 */
final class EnergyCounters {
  static final Path SYSTEM = Path.of("/sys/class/powercap");

  private record Counter(Path file, long range) {
    long read() throws IOException {
      return number(file);
    }
  }

  private final List<Counter> counters;
  private final long[] last;
  private double joules;

  private EnergyCounters(List<Counter> counters) throws IOException {
    this.counters = counters;
    last = new long[counters.size()];
    for (int i = 0; i < last.length; i++) {
      last[i] = counters.get(i).read();
    }
  }

  /** The counters of all packages; empty where there are none, or they may not be read. */
  static Optional<EnergyCounters> open(Path folder) {
    try (Stream<Path> zones = Files.list(folder)) {
      List<Counter> counters = new ArrayList<>();
      for (Path zone : zones.sorted().toList()) {
        // "intel-rapl:0:1" is a part of package "intel-rapl:0".
        if (String.valueOf(zone.getFileName()).matches("intel-rapl:\\d+")) {
          counters.add(
              new Counter(zone.resolve("energy_uj"), number(zone.resolve("max_energy_range_uj"))));
        }
      }
      return counters.isEmpty() ? Optional.empty() : Optional.of(new EnergyCounters(counters));
    } catch (IOException | NumberFormatException _) {
      return Optional.empty();
    }
  }

  private static long number(Path file) throws IOException {
    return Long.parseLong(Files.readString(file).strip());
  }

  /** Joules since these counters were opened; to be called once a minute at least. */
  double joules() throws IOException {
    for (int i = 0; i < last.length; i++) {
      long now = counters.get(i).read();
      long difference = now - last[i];
      joules += 1e-6 * (difference < 0 ? difference + counters.get(i).range() : difference);
      last[i] = now;
    }
    return joules;
  }
}
