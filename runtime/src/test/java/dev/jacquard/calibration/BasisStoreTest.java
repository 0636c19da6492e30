package dev.jacquard.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A small model is calibrated; its bases come back from their file, and from no other. */
class BasisStoreTest {
  private static final int TOKENS = 2048;

  @TempDir private Path folder = Path.of("");

  private static Program program(ModelFile file) {
    return Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
  }

  private Path model(String name) throws IOException {
    return Files.copy(
        TestData.resource("architectures/" + name + ".gguf"), folder.resolve(name + ".gguf"));
  }

  private static int[] tokens(int count, int vocabulary) {
    return new Random(1).ints(count, 3, vocabulary).toArray();
  }

  private static Calibration calibrate(Program program, int tokens, List<Double> told) {
    try (Backend backend = Backends.open("reference", new BackendOptions(2));
        Executable executable = backend.compile(program, CompileOptions.of(64, 1))) {
      return new Calibrator(backend, executable, program, 64, 1, 256)
          .calibrate(new int[] {1}, tokens(tokens, program.logits().width()), "random", told::add);
    }
  }

  @Test
  void basesComeBackFromTheirFileAsTheyWere() throws IOException {
    try (GgufFile file = GgufFile.open(model("gemma3"))) {
      Program program = program(file);
      List<Double> told = new ArrayList<>();
      Calibration made = calibrate(program, TOKENS, told);
      assertEquals(1, told.getLast());
      assertEquals(made.layers().size(), made.reports().size());
      for (Calibration.LayerReport report : made.reports()) {
        assertTrue(report.error() > 0 && report.share() > 0.3 && report.share() <= 1, "" + report);
      }
      BasisStore store = new BasisStore(file, program.kv(), null);
      assertTrue(store.load().isEmpty());
      assertEquals(folder.resolve("gemma3.basis.gguf"), store.save(made));
      Calibration read = store.load().orElseThrow();
      assertSame(made, read);
      assertEquals(TOKENS, read.tokens());
      assertEquals("random", read.source());
      try (Backend backend = Backends.open("reference", new BackendOptions(1));
          KvStorage storage = backend.allocateKv(program.kv(), KvFormat.Q8)) {
        read.applyTo(storage);
        for (int layer = 0; layer < program.kv().layers().size(); layer++) {
          assertEquals(program.kv().layers().get(layer).window() == 0, storage.sketched(layer));
        }
      }
      // Made again, it is the same file.
      byte[] first = Files.readAllBytes(folder.resolve("gemma3.basis.gguf"));
      store.save(calibrate(program, TOKENS, told));
      assertArrayEquals(first, Files.readAllBytes(folder.resolve("gemma3.basis.gguf")));
    }
  }

  private static void assertSame(Calibration expected, Calibration found) {
    assertEquals(expected.layers().size(), found.layers().size());
    for (int i = 0; i < expected.layers().size(); i++) {
      LayerBases a = expected.layers().get(i);
      LayerBases b = found.layers().get(i);
      assertEquals(a.layer(), b.layer());
      assertEquals(a.bases().size(), b.bases().size());
      for (int h = 0; h < a.bases().size(); h++) {
        SketchBasis x = a.bases().get(h);
        SketchBasis y = b.bases().get(h);
        assertArrayEquals(x.mean(), y.mean());
        assertArrayEquals(x.toKey(), y.toKey());
        assertArrayEquals(x.toQuery(), y.toQuery());
        assertArrayEquals(x.bits(), y.bits());
        assertArrayEquals(x.step(), y.step());
        assertEquals(x.tolerance(), y.tolerance());
      }
    }
  }

  @Test
  void aFileOfAnotherModelOrABrokenOneIsRefused() throws IOException {
    Path basis = folder.resolve("gemma3.basis.gguf");
    try (GgufFile file = GgufFile.open(model("gemma3"));
        GgufFile other = GgufFile.open(model("gemma3.Q8_0"))) {
      Program program = program(file);
      String key = ModelKey.of(file);
      BasisFile.write(basis, key, calibrate(program, TOKENS, new ArrayList<>()));
      assertTrue(new BasisStore(file, program.kv(), null).load().isPresent());

      Files.copy(basis, folder.resolve("gemma3.Q8_0.basis.gguf"));
      assertTrue(new BasisStore(other, program.kv(), null).load().isEmpty(), "another model's");

      byte[] bytes = Files.readAllBytes(basis);
      for (int length : new int[] {0, 3, 100, bytes.length / 2}) {
        Files.write(basis, Arrays.copyOf(bytes, length));
        assertThrows(
            ModelFormatException.class,
            () -> BasisFile.read(basis, key, program.kv()),
            "" + length);
      }
      byte[] altered = bytes.clone();
      Arrays.fill(altered, altered.length - 256, altered.length, (byte) 0xff); // NaN
      Files.write(basis, altered);
      assertThrows(ModelFormatException.class, () -> BasisFile.read(basis, key, program.kv()));
      assertFalse(new BasisStore(file, program.kv(), null).load().isPresent());
    }
  }

  @Test
  void aFileWithoutATolerableToleranceIsRefused() throws IOException {
    Path basis = folder.resolve("gemma3.basis.gguf");
    try (GgufFile file = GgufFile.open(model("gemma3"))) {
      Program program = program(file);
      String key = ModelKey.of(file);
      BasisFile.write(basis, key, calibrate(program, TOKENS, new ArrayList<>()));
      byte[] bytes = Files.readAllBytes(basis);
      String text = new String(bytes, StandardCharsets.ISO_8859_1);
      int at = text.indexOf(".tolerance");
      byte[] without = bytes.clone();
      without[at + 1] = 'x';
      byte[] zero = bytes.clone();
      Arrays.fill(zero, at + ".tolerance".length() + Integer.BYTES, at + 18, (byte) 0);
      for (byte[] content : List.of(without, zero)) {
        Files.write(basis, content);
        ModelFormatException refused =
            assertThrows(
                ModelFormatException.class, () -> BasisFile.read(basis, key, program.kv()));
        assertTrue(String.valueOf(refused.getMessage()).contains(".tolerance"), "" + refused);
      }
    }
  }

  @Test
  void aFolderThatCannotBeWrittenIsReplacedByTheCache() throws IOException {
    Path cache = folder.resolve("cache");
    try (GgufFile file = GgufFile.open(model("llama"))) {
      Program program = program(file);
      Files.createDirectory(folder.resolve("llama.basis.gguf")); // in the way
      Files.writeString(folder.resolve("llama.basis.gguf").resolve("x"), "");
      BasisStore store = new BasisStore(file, program.kv(), cache);
      Path saved = store.save(calibrate(program, TOKENS, new ArrayList<>()));
      assertEquals(cache, saved.getParent());
      assertTrue(store.load().isPresent());
    }
  }

  @Test
  void tooShortTextsAreRefusedAndWhoeverWatchesCanStop() throws IOException {
    try (GgufFile file = GgufFile.open(model("llama"))) {
      Program program = program(file);
      assertThrows(
          CalibrationException.class, () -> calibrate(program, TOKENS - 1, new ArrayList<>()));
      try (Backend backend = Backends.open("reference", new BackendOptions(1));
          Executable executable = backend.compile(program, CompileOptions.of(64, 1))) {
        Calibrator calibrator = new Calibrator(backend, executable, program, 64, 1, 256);
        assertThrows(
            CancellationException.class,
            () ->
                calibrator.calibrate(
                    new int[0],
                    tokens(TOKENS, program.logits().width()),
                    "random",
                    share -> {
                      throw new CancellationException("enough");
                    }));
      }
    }
  }
}
