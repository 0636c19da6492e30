package dev.jacquard.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What {@code doctor} says about the machine. */
final class Machine {
  /** One line of it. */
  record Fact(String name, String value) {}

  /** Features that kernels profit from, as Linux names them on x86 and Arm. */
  private static final Set<String> FEATURES =
      Set.of(
          "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
          "avx512_bf16", "avx_vnni", "amx_int8", "asimd", "asimddp", "asimdhp", "i8mm", "bf16",
          "sve", "sve2");

  private Machine() {}

  /** Facts in the order in which they are shown. */
  static List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    facts.add(new Fact("Jacquard", Version.ofProgram()));
    facts.add(new Fact("Java", Runtime.version() + " (" + System.getProperty("java.vm.name") + ")"));
    facts.add(
        new Fact("System", System.getProperty("os.name") + " " + System.getProperty("os.arch")));
    facts.add(
        new Fact(
            "Processor",
            cpuInfo("model name").orElse("unknown name")
                + ", "
                + Runtime.getRuntime().availableProcessors()
                + " threads for this process"));
    facts.add(new Fact("Features", features()));
    facts.add(new Fact("Vector module", vectorModule()));
    return facts;
  }

  private static String features() {
    return cpuInfo("flags")
        .or(() -> cpuInfo("Features"))
        .map(
            line ->
                Arrays.stream(line.split(" ")).filter(FEATURES::contains).collect(Collectors.joining(" ")))
        .orElse("not known on this system");
  }

  private static String vectorModule() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
        ? "jdk.incubator.vector is there"
        : "jdk.incubator.vector is missing: add --add-modules jdk.incubator.vector";
  }

  private static Optional<String> cpuInfo(String key) {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith(key))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
