package dev.jacquard.fidelity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.ReferenceLogits;
import dev.jacquard.testing.TeacherForcing;
import dev.jacquard.testing.TestData;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * How close a backend comes to exact logits (weights expanded to F32 and run in F32 by llama.cpp)
 * when the same tokens are fed to it. A backend's test is a subclass with its {@link Bounds}.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class FidelityContract {
  /**
   * What a backend must reach.
   *
   * @param kvFormat the cache it is tested with
   * @param tinyDifference largest difference of any logit of a tiny model
   * @param tinyLead the stored best token of a tiny model must be the backend's if it is this far
   *     ahead of the second
   * @param javaDivergence mean divergence for each format of the bundled model
   * @param javaLead as {@code tinyLead}, for the bundled model
   */
  record Bounds(
      KvFormat kvFormat,
      double tinyDifference,
      double tinyLead,
      Map<String, Double> javaDivergence,
      double javaLead) {}

  private final String backendName;
  private final Bounds bounds;
  private Backend backend;

  FidelityContract(String backendName, Bounds bounds) {
    this.backendName = backendName;
    this.bounds = bounds;
  }

  @BeforeAll
  void open() {
    backend =
        Backends.open(backendName, new BackendOptions(Runtime.getRuntime().availableProcessors()));
  }

  @AfterAll
  void close() {
    backend.close();
  }

  static Stream<String> tinyModels() {
    return Stream.of(
        "llama",
        "llama.Q8_0",
        "llama.Q4_0",
        "llama-linear",
        "llama-llama3",
        "llama-yarn",
        "llama-bias",
        "llama-wide.Q4_K_M",
        "gemma3",
        "gemma3.Q8_0",
        "gemma3.Q4_0",
        "gemma3.Q4_K_M",
        "gemma3-wide.Q4_K_M");
  }

  @ParameterizedTest
  @MethodSource("tinyModels")
  void tinyModelsGiveTheExactLogits(String name) {
    String family = name.replaceAll("\\..*", "");
    int[] tokens = TestData.ids(TestData.resource("architectures/" + family + ".tokens.txt"));
    ReferenceLogits exact =
        ReferenceLogits.read(TestData.resource("architectures/" + name + ".logits.bin"));
    try (ModelFile file = ModelFile.open(TestData.resource("architectures/" + name + ".gguf"))) {
      Comparison comparison = compare(file, tokens, exact, bounds.tinyLead);
      System.out.println(backendName + ", " + name + ": " + comparison);
      assertTrue(comparison.largestDifference() <= bounds.tinyDifference, comparison.toString());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"Q8_0", "Q4_0", "Q4_K_M"})
  void theBundledModelComesClose(String format) {
    int[] tokens = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));
    ReferenceLogits exact =
        ReferenceLogits.read(TestData.resource("reference/java-7m." + format + ".logits.bin"));
    try (ModelFile file = ModelFile.open(bundled(format))) {
      Comparison comparison = compare(file, tokens, exact, bounds.javaLead);
      System.out.println(backendName + ", java-7m " + format + ": " + comparison);
      assertTrue(
          comparison.meanDivergence() <= bounds.javaDivergence.get(format), comparison.toString());
    }
  }

  private Comparison compare(ModelFile file, int[] tokens, ReferenceLogits exact, double lead) {
    return new Comparison(backend, bounds.kvFormat, file, tokens, tokens.length, exact, lead);
  }

  private static Path bundled(String format) {
    return format.equals("Q8_0")
        ? TestData.bundledModel()
        : TestData.resource("models/java-7m." + format + ".gguf");
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama.Q8_0", "gemma3.Q4_0"})
  void theBitsDoNotDependOnHowAPromptIsCut(String name) {
    String family = name.replaceAll("\\..*", "");
    int[] tokens = TestData.ids(TestData.resource("architectures/" + family + ".tokens.txt"));
    try (ModelFile file = ModelFile.open(TestData.resource("architectures/" + name + ".gguf"))) {
      float[][] whole =
          new TeacherForcing(backend, bounds.kvFormat, tokens.length).run(file, tokens);
      for (int chunk : new int[] {1, 7}) {
        float[][] cut = new TeacherForcing(backend, bounds.kvFormat, chunk).run(file, tokens);
        for (int p = 0; p < tokens.length; p++) {
          assertArrayEquals(whole[p], cut[p], "position " + p + " in chunks of " + chunk);
        }
      }
    }
  }
}
