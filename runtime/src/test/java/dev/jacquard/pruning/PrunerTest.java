package dev.jacquard.pruning;

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
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Small models of each architecture, pruned and run. */
class PrunerTest {
  @TempDir private Path folder = Path.of("");

  private static Path model(String architecture) {
    return TestData.resource("architectures/" + architecture + ".gguf");
  }

  private static int[] text(Path model) {
    try (GgufFile file = GgufFile.open(model)) {
      return new Random(1).ints(2048, 3, program(file).logits().width()).toArray();
    }
  }

  private static Program program(GgufFile file) {
    return Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
  }

  private static PruningSettings settings(
      NeuronScore score, Compensation compensation, boolean perLayer) {
    return new PruningSettings(0.3, score, compensation, perLayer, 0, 1);
  }

  private PruningReport prune(Path model, PruningSettings settings, Path out) throws IOException {
    try (Pruner pruner = Pruner.open(model, 2, share -> {})) {
      return pruner.prune(text(model), new int[] {1}, settings, out, share -> {});
    }
  }

  private static List<Op.FeedForward> feedForwards(Program program) {
    List<Op.FeedForward> layers = new ArrayList<>();
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward f) {
        layers.add(f);
      }
    }
    return layers;
  }

  private static float[] row(Tensor tensor, int row) {
    float[] values = new float[tensor.columns()];
    tensor.decodeRow(row, values, 0);
    return values;
  }

  /** Which neurons of the model the smaller one has, by their rows of gate. */
  private static NeuronSet kept(Program model, Program smaller) {
    List<int[]> kept = new ArrayList<>();
    for (int layer = 0; layer < feedForwards(model).size(); layer++) {
      Tensor all = feedForwards(model).get(layer).gate().weight().tensor();
      Tensor some = feedForwards(smaller).get(layer).gate().weight().tensor();
      int[] own = new int[some.rows()];
      int neuron = 0;
      for (int k = 0; k < own.length; k++) {
        while (!Arrays.equals(row(all, neuron), row(some, k))) {
          neuron++;
        }
        own[k] = neuron++;
      }
      kept.add(own);
    }
    return new NeuronSet(kept);
  }

  private static float[] logits(Program program, NeuronRule rule) {
    int[] tokens = {1, 5, 9, 20, 7, 11};
    try (Backend backend = Backends.open("reference", new BackendOptions(2));
        Executable executable = backend.compile(program, CompileOptions.of(tokens.length, 1));
        KvStorage storage = backend.allocateKv(program.kv(), KvFormat.F32)) {
      int groups = program.kv().groupWindows().size();
      StepInputs inputs = new StepInputs(tokens.length, groups);
      inputs.clear();
      int sequence = inputs.addSequence();
      inputs.setNeurons(sequence, rule);
      for (int i = 0; i < tokens.length; i++) {
        inputs.addRow(sequence, i, tokens[i], i == tokens.length - 1);
        for (int group = 0; group < groups; group++) {
          storage.grow(group, 1);
          inputs.setWrite(group, i, 0, i);
        }
      }
      for (int group = 0; group < groups; group++) {
        inputs.view(sequence, group).add(0, 0, tokens.length, false);
      }
      executable.run(inputs, storage, null);
      float[] logits = new float[program.logits().width()];
      executable.read(program.logits(), 0, logits, 0);
      return logits;
    }
  }

  @ParameterizedTest
  @CsvSource({"llama,false", "gemma3,false", "llama,true", "gemma3,true"})
  void withoutCompensationTheSmallerModelIsTheModelWithoutTheseNeurons(
      String architecture, boolean perLayer) throws IOException {
    Path out = folder.resolve("out.gguf");
    PruningReport report =
        prune(model(architecture), settings(NeuronScore.FLAP, Compensation.NONE, perLayer), out);
    assertFalse(report.bias());
    assertTrue(report.bytesAfter() < Files.size(out));
    assertEquals(
        report.bytesBefore() - report.bytesAfter(),
        report.feedForwardBefore() - report.feedForwardAfter());
    try (GgufFile file = GgufFile.open(model(architecture));
        GgufFile smaller = GgufFile.open(out)) {
      NeuronSet kept = kept(program(file), program(smaller));
      for (PruningReport.Layer layer : report.layers()) {
        assertEquals(layer.after(), kept.count(layer.layer()));
        assertEquals(0, layer.after() % 32);
        assertEquals(0, layer.rounding(), "stored as " + layer.down());
      }
      float[] expected = logits(program(file), new NeuronRule.Listed(kept));
      float[] found = logits(program(smaller), NeuronRule.ALL);
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], found[i], 1e-5f * (1 + Math.abs(expected[i])));
      }
      assertFalse(Arrays.equals(logits(program(file), NeuronRule.ALL), found));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3"})
  void compensationBringsTheLogitsNearer(String architecture) throws IOException {
    double[] errors = new double[2];
    Compensation[] ways = {Compensation.NONE, Compensation.FULL};
    for (int i = 0; i < ways.length; i++) {
      Path out = folder.resolve(ways[i] + ".gguf");
      PruningReport report =
          prune(model(architecture), settings(NeuronScore.RESIDUAL, ways[i], i == 1), out);
      assertEquals(architecture.equals("llama") && i == 1, report.bias());
      try (GgufFile file = GgufFile.open(model(architecture));
          GgufFile smaller = GgufFile.open(out)) {
        float[] whole = logits(program(file), NeuronRule.ALL);
        float[] found = logits(program(smaller), NeuronRule.ALL);
        for (int k = 0; k < whole.length; k++) {
          errors[i] += Math.pow(whole[k] - found[k], 2);
        }
      }
    }
    assertTrue(errors[1] < errors[0], Arrays.toString(errors));
  }

  @Test
  void theModelAndWhatWasThereStayWhatTheyWereWhenItFails() throws IOException {
    byte[] before = Files.readAllBytes(model("gemma3"));
    Path out = Files.writeString(folder.resolve("out.gguf"), "mine");
    PruningSettings settings = settings(NeuronScore.FLAP, Compensation.MEAN, false);
    PruningException e =
        assertThrows(PruningException.class, () -> prune(model("gemma3"), settings, out));
    assertTrue(String.valueOf(e.getMessage()).contains("full or none"), e.toString());
    try (Pruner pruner = Pruner.open(model("gemma3"), 1, share -> {})) {
      PruningException shortText =
          assertThrows(
              PruningException.class,
              () -> pruner.prune(new int[100], new int[0], settings, out, share -> {}));
      assertTrue(
          String.valueOf(shortText.getMessage()).contains("longer text"), shortText.toString());
      assertThrows(
          IllegalStateException.class,
          () ->
              pruner.prune(
                  text(model("gemma3")),
                  new int[0],
                  settings(NeuronScore.RANDOM, Compensation.FULL, false),
                  out,
                  share -> {
                    if (share > 0.5) {
                      throw new IllegalStateException("stop");
                    }
                  }));
    }
    assertEquals("mine", Files.readString(out));
    assertArrayEquals(before, Files.readAllBytes(model("gemma3")));
    try (var files = Files.list(folder)) {
      assertEquals(1, files.count());
    }
  }

  @Test
  void sharesOutsideAreRefused() {
    for (double share : new double[] {0, 1, -0.1, Double.NaN}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> new PruningSettings(share, NeuronScore.FLAP, Compensation.FULL, false, 0, 1));
    }
  }

  @Test
  void aFileThatIsNoModelIsRefused() {
    Path none = folder.resolve("none.gguf");
    assertThrows(JacquardException.class, () -> Pruner.open(none, 1, share -> {}));
  }
}
