package dev.jacquard.calibration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.calibration.Calibration.LayerReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.testing.ForwardingExecutable;
import dev.jacquard.testing.TestData;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Factors on the limits of layers, of a small model of two. */
class SensitivityTest {
  /** Makes the noise that is written into one layer longer or shorter. */
  private static final class Amplified extends ForwardingExecutable {
    private final int layer;
    private final float factor;
    private int current = -1;

    Amplified(Executable executable, int layer, float factor) {
      super(executable);
      this.layer = layer;
      this.factor = factor;
    }

    @Override
    public void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer) {
      super.run(
          inputs,
          kv,
          (index, op) -> {
            current = op instanceof Op.Attention attention ? attention.layer() : -1;
            if (observer != null) {
              observer.after(index, op);
            }
          });
    }

    @Override
    public void write(Slot slot, int row, float[] source, int offset) {
      float[] values = new float[slot.width()];
      read(slot, row, values, 0);
      float times = current == layer ? factor : 1;
      for (int i = 0; i < values.length; i++) {
        values[i] += times * (source[offset + i] - values[i]);
      }
      super.write(slot, row, values, 0);
    }
  }

  /** Calibrates with noise that is longer by a factor in one layer. */
  private static List<Double> tolerances(String model, int outputs, int layer, float factor) {
    try (GgufFile file = GgufFile.open(TestData.resource("architectures/" + model + ".gguf"))) {
      Program program =
          Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
      int[] tokens = new Random(1).ints(2048, 3, program.logits().width()).toArray();
      try (Backend backend = Backends.open("vector", new BackendOptions(2));
          Executable executable =
              new Amplified(
                  backend.compile(program, CompileOptions.of(64, outputs)), layer, factor)) {
        return new Calibrator(backend, executable, program, 64, outputs, 1024)
            .calibrate(new int[] {1}, tokens, "random", share -> {}).reports().stream()
                .map(LayerReport::tolerance)
                .toList();
      }
    }
  }

  @Test
  void factorsGoWithTheInverseRootOfTheDivergence() {
    List<Double> found = tolerances("llama", 16, 0, 1);
    assertEquals(2, 1 / found.get(0) + 1 / found.get(1), 1e-5, "inverses of " + found);
    // Noise of half the length makes a quarter of the divergence, for small noise.
    List<Double> less = tolerances("llama", 16, 0, 0.5f);
    assertEquals(2, 1 / less.get(0) + 1 / less.get(1), 1e-5, "inverses of " + less);
    double ratio = less.get(0) / less.get(1) / (found.get(0) / found.get(1));
    assertEquals(2, ratio, 0.1, found + " and " + less);
  }

  @Test
  void stepsWithFewerOutputsGiveTheSame() {
    assertEquals(tolerances("llama", 16, 0, 1), tolerances("llama", 3, 0, 1));
  }

  @Test
  void factorsAreBounded() {
    List<Double> found = tolerances("llama", 16, 0, 30);
    assertEquals(3, found.get(1), "" + found);
    assertEquals(0.5, found.get(0), 0.1, "two layers, of which one matters");
  }

  @Test
  void whatCannotBeComparedIsOne() {
    assertEquals(List.of(1.0), tolerances("gemma3", 16, 0, 1), "one layer without a window");
    assertEquals(List.of(1.0, 1.0), tolerances("llama", 16, 0, 0), "no noise");
    assertEquals(List.of(1.0, 1.0), tolerances("llama", 16, 0, Float.NaN), "no number");
    assertTrue(tolerances("llama", 16, 0, 1).stream().noneMatch(t -> t == 1), "some noise");
  }
}
