package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.calibration.Calibrator;
import dev.jacquard.calibration.SavedCalibration;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Where the bases of a model come from when sessions want sketches. */
@Timeout(120)
class SketchingTest {
  private static final AttentionPolicy BUDGETED =
      AttentionPolicy.of(new Exactness.Budgeted(0.8, 1), Calibrator.LEAST_TOKENS);
  private static final ModelOptions OPTIONS =
      TestModels.OPTIONS.withThreads(2).withContext(4096).withKvFormat(KvFormat.Q8);

  @TempDir private Path folder = Path.of("");
  private String cache = "";

  @BeforeEach
  void cacheInTheFolder() {
    cache = System.getProperty("jacquard.cache", "");
    System.setProperty("jacquard.cache", folder.resolve("cache").toString());
  }

  @AfterEach
  void restore() {
    System.setProperty("jacquard.cache", cache);
  }

  private Model open(KvFormat format) throws IOException {
    Path file = folder.resolve("gemma3.gguf");
    if (!Files.exists(file)) {
      Files.copy(TestData.resource("architectures/gemma3.gguf"), file);
    }
    return Jacquard.open(file, OPTIONS.withKvFormat(format));
  }

  private static int[] tokens(Model model, int count) {
    return new Random(3).ints(count, 3, model.vocabulary()).toArray();
  }

  private static boolean sketched(Model model) {
    KvStorage storage = model.engine().cache().storage();
    List<KvSpec.Layer> layers = storage.spec().layers();
    for (int layer = 0; layer < layers.size(); layer++) {
      if (layers.get(layer).window() == 0 && !storage.sketched(layer)) {
        return false;
      }
    }
    return true;
  }

  private static void compute(Model model, AttentionPolicy policy, int tokens) {
    try (Session session = model.newSession(policy)) {
      session.evaluate(tokens(model, tokens), 1, (_, logits) -> assertTrue(logits.length > 0));
    }
  }

  private List<Path> basesInCache() throws IOException {
    Path path = folder.resolve("cache");
    if (!Files.exists(path)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(path)) {
      return files.filter(file -> file.toString().endsWith(".basis.gguf")).toList();
    }
  }

  @Test
  void theFirstLongPromptGivesTheBasesAndTheNextProcessFindsThem() throws IOException {
    try (Model model = open(KvFormat.Q8)) {
      assertFalse(sketched(model));
      compute(model, AttentionPolicy.DENSE, Calibrator.LEAST_TOKENS);
      compute(model, BUDGETED, Calibrator.LEAST_TOKENS - 1);
      assertFalse(sketched(model), "nobody wanted sketches");
      compute(model, BUDGETED, Calibrator.LEAST_TOKENS + 8);
      assertTrue(sketched(model));
      assertEquals(1, basesInCache().size());
    }
    try (Model model = open(KvFormat.Q8)) {
      assertTrue(sketched(model));
    }
  }

  @Test
  void aPromptThatIsTooShortForItIsReadWhole() throws IOException {
    try (Model model = open(KvFormat.Q8)) {
      compute(model, AttentionPolicy.of(new Exactness.Budgeted(0.8, 1), 16), 64);
      assertFalse(sketched(model));
      assertTrue(basesInCache().isEmpty());
    }
  }

  @Test
  void aCalibrationIsSavedBesideTheModelAndUsedAtOnce() throws IOException {
    try (Model model = open(KvFormat.Q8)) {
      SavedCalibration saved =
          model.calibrate(tokens(model, Calibrator.LEAST_TOKENS), "random", share -> {});
      assertEquals(folder.resolve("gemma3.basis.gguf"), saved.file());
      assertTrue(sketched(model));
      compute(model, BUDGETED, 64);
    }
    Path file = folder.resolve("gemma3.basis.gguf");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length / 2] ^= 0x7f;
    bytes[40] ^= 1;
    Files.write(file, bytes);
    try (Model model = open(KvFormat.Q8)) {
      assertFalse(sketched(model), "a broken file is not used");
    }
  }
}
