package dev.jacquard.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The arrows between the rooms: who may use whom. */
@AnalyzeClasses(packages = "dev.jacquard", importOptions = ArchitectureTest.MainClasses.class)
class ArchitectureTest {
  static final class MainClasses implements ImportOption {
    @Override
    public boolean includes(Location location) {
      return !location.contains("/test-classes/") && !location.contains("-tests.jar");
    }
  }

  /** Each room with the rooms it may use. */
  private static final Map<String, List<String>> ROOMS =
      Map.ofEntries(
          Map.entry("memory", List.of()),
          Map.entry("tensor", List.of("memory")),
          Map.entry("kernels", List.of("tensor", "memory")),
          Map.entry("attention", List.of("kernels", "tensor", "memory")),
          Map.entry("modelfile", List.of("tensor", "memory")),
          Map.entry("tokenizer", List.of("modelfile", "memory")),
          Map.entry("architecture", List.of("modelfile", "kernels", "tensor", "memory")),
          Map.entry("sampling", List.of("kernels", "memory")),
          Map.entry("repository", List.of("memory")),
          Map.entry("kvstore", List.of("attention", "kernels", "memory")),
          Map.entry("calibration", List.of("modelfile", "kernels", "tensor", "memory")),
          Map.entry(
              "pruning",
              List.of("calibration", "architecture", "modelfile", "kernels", "tensor", "memory")),
          Map.entry("neurons", List.of("kernels", "tensor", "memory")),
          Map.entry(
              "quantization",
              List.of(
                  "architecture",
                  "tokenizer",
                  "modelfile",
                  "attention",
                  "kernels",
                  "tensor",
                  "memory")),
          Map.entry(
              "session",
              List.of(
                  "neurons",
                  "calibration",
                  "sampling",
                  "kvstore",
                  "architecture",
                  "tokenizer",
                  "modelfile",
                  "attention",
                  "kernels",
                  "tensor",
                  "memory")),
          Map.entry(
              "context",
              List.of("session", "repository", "kvstore", "tokenizer", "kernels", "memory")),
          Map.entry(
              "evaluation",
              List.of(
                  "session",
                  "neurons",
                  "calibration",
                  "sampling",
                  "architecture",
                  "tokenizer",
                  "modelfile",
                  "attention",
                  "kernels",
                  "tensor",
                  "memory")));

  @ArchTest
  static void roomsUseOnlyTheRoomsBelow(JavaClasses classes) {
    for (String room : ROOMS.keySet()) {
      List<String> others = new ArrayList<>(ROOMS.keySet());
      others.add("cli");
      others.remove(room);
      others.removeAll(ROOMS.get(room));
      noClasses()
          .that()
          .resideInAPackage("dev.jacquard." + room + "..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              others.stream().map(r -> "dev.jacquard." + r + "..").toArray(String[]::new))
          .check(classes);
    }
  }

  @ArchTest
  static void everyPackageIsInARoom(JavaClasses classes) {
    classes()
        .should()
        .resideInAnyPackage(
            Stream.concat(ROOMS.keySet().stream(), Stream.of("cli"))
                .map(room -> "dev.jacquard." + room + "..")
                .toArray(String[]::new))
        .check(classes);
  }

  @ArchTest
  static final ArchRule VECTOR_API_IN_ONE_PACKAGE =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.jacquard.kernels.vector..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("jdk.incubator.vector..");

  @ArchTest
  static final ArchRule BACKENDS_ARE_FOUND_BY_NAME =
      noClasses()
          .that()
          .resideOutsideOfPackages("dev.jacquard.kernels.vector..", "dev.jacquard.kernels")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.jacquard.kernels.vector..");

  @ArchTest
  static final ArchRule LIBRARIES_OF_THE_COMMAND_LINE_STAY_THERE =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.jacquard.cli..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("picocli..", "com.fasterxml.jackson..");

  @ArchTest
  static void packagesFormNoCycles(JavaClasses classes) {
    slices().matching("dev.jacquard.(*)..").should().beFreeOfCycles().check(classes);
  }
}
