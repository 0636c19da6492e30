package dev.jacquard.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The arrows between the rooms: who may use whom. */
@AnalyzeClasses(packages = "dev.jacquard", importOptions = ArchitectureTest.MainClasses.class)
class ArchitectureTest {
  static final class MainClasses implements ImportOption {
    @Override
    public boolean includes(Location location) {
      return !location.contains("/test-classes/") && !location.contains("-tests.jar");
    }
  }

  @ArchTest
  static final ArchRule ROOMS =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("memory")
          .definedBy("dev.jacquard.memory..")
          .layer("tensor")
          .definedBy("dev.jacquard.tensor..")
          .layer("kernels")
          .definedBy("dev.jacquard.kernels..")
          .layer("attention")
          .definedBy("dev.jacquard.attention..")
          .layer("modelfile")
          .definedBy("dev.jacquard.modelfile..")
          .layer("tokenizer")
          .definedBy("dev.jacquard.tokenizer..")
          .layer("architecture")
          .definedBy("dev.jacquard.architecture..")
          .layer("sampling")
          .definedBy("dev.jacquard.sampling..")
          .layer("session")
          .definedBy("dev.jacquard.session..")
          .layer("evaluation")
          .definedBy("dev.jacquard.evaluation..")
          .layer("cli")
          .definedBy("dev.jacquard.cli..")
          .whereLayer("memory")
          .mayNotAccessAnyLayer()
          .whereLayer("tensor")
          .mayOnlyAccessLayers("memory")
          .whereLayer("kernels")
          .mayOnlyAccessLayers("tensor", "memory")
          .whereLayer("attention")
          .mayOnlyAccessLayers("kernels", "tensor", "memory")
          .whereLayer("modelfile")
          .mayOnlyAccessLayers("tensor", "memory")
          .whereLayer("tokenizer")
          .mayOnlyAccessLayers("modelfile", "memory")
          .whereLayer("architecture")
          .mayOnlyAccessLayers("modelfile", "kernels", "tensor", "memory")
          .whereLayer("sampling")
          .mayOnlyAccessLayers("memory")
          .whereLayer("session")
          .mayNotBeAccessedByLayers("memory", "tensor", "kernels", "attention", "modelfile")
          .whereLayer("evaluation")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("cli")
          .mayNotBeAccessedByAnyLayer();

  @ArchTest
  static final ArchRule SESSIONS_DO_NOT_KNOW_EVALUATION =
      noClasses()
          .that()
          .resideInAPackage("dev.jacquard.session..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.jacquard.evaluation..", "dev.jacquard.cli..");

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
