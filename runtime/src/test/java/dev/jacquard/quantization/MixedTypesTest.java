package dev.jacquard.quantization;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The rules of llama.cpp on files of the shape of models; their values do not matter. */
class MixedTypesTest {
  private static final int LAYERS = 16;

  private final GgufWriter writer = new GgufWriter();

  @TempDir private Path folder = Path.of("");

  private MixedTypesTest metadata(String architecture, int experts) {
    writer
        .put("general.architecture", GgufType.STRING, architecture)
        .put(architecture + ".block_count", GgufType.UINT32, LAYERS)
        .put(architecture + ".expert_count", GgufType.UINT32, experts);
    return this;
  }

  private MixedTypesTest tensor(String name, long... sizes) {
    Shape shape = Shape.of(sizes);
    byte[] zeros = new byte[(int) shape.elements() * 2];
    writer.tensor(
        name,
        GgmlTypes.byNumber(1).orElseThrow(),
        shape,
        GgufWriter.TensorData.of(MemorySegment.ofArray(zeros)));
    return this;
  }

  private MixedTypesTest layers(String... names) {
    for (int layer = LAYERS - 1; layer >= 0; layer--) { // files may have any order
      for (String name : names) {
        tensor("blk." + layer + "." + name, 256, 2);
      }
    }
    return this;
  }

  private Map<String, String> formats(FileType type, boolean importances) throws IOException {
    Path path = folder.resolve("model.gguf");
    writer.write(path);
    try (GgufFile file = GgufFile.open(path)) {
      return QuantizationPlan.of(file, TypeChoice.of(type), importances, false).tensors().stream()
          .collect(
              Collectors.toMap(
                  e -> e.source().name(),
                  QuantizationPlan.Entry::format,
                  (a, b) -> a,
                  TreeMap::new));
    }
  }

  /** Layers of a tensor that have a format, in order. */
  private static String layersIn(Map<String, String> formats, String tensor, String format) {
    StringBuilder layers = new StringBuilder();
    for (int layer = 0; layer < LAYERS; layer++) {
      if (format.equals(formats.get("blk." + layer + "." + tensor))) {
        layers.append(layers.isEmpty() ? "" : " ").append(layer);
      }
    }
    return layers.toString();
  }

  private static final String ALL = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15";

  /** The first two and last two of 16, and every third from layer 4 on. */
  private static final String MORE = "0 1 4 7 10 13 14 15";

  @Test
  void mediumMixes() throws IOException {
    Map<String, String> formats =
        metadata("llama", 0)
            .tensor("token_embd.weight", 256, 4)
            .tensor("output.weight", 256, 4)
            .layers("attn_v.weight", "attn_k.weight", "ffn_down.weight", "ffn_up.weight")
            .formats(FileType.Q4_K_M, false);
    assertEquals("Q6_K", formats.get("output.weight"));
    assertEquals("Q4_K", formats.get("token_embd.weight"));
    assertEquals(MORE, layersIn(formats, "attn_v.weight", "Q6_K"));
    assertEquals(MORE, layersIn(formats, "ffn_down.weight", "Q6_K"));
    assertEquals("2 3 5 6 8 9 11 12", layersIn(formats, "ffn_down.weight", "Q4_K"));
    assertEquals(ALL, layersIn(formats, "attn_k.weight", "Q4_K"));
    assertEquals(ALL, layersIn(formats, "ffn_up.weight", "Q4_K"));
  }

  @Test
  void smallMixes() throws IOException {
    Map<String, String> formats =
        metadata("llama", 0)
            .tensor("token_embd.weight", 256, 4)
            .layers("attn_v.weight", "ffn_down.weight")
            .formats(FileType.Q4_K_S, false);
    assertEquals("Q6_K", formats.get("token_embd.weight"), "it is the output matrix too");
    assertEquals("0 1 2 3", layersIn(formats, "attn_v.weight", "Q5_K"));
    assertEquals("0 1", layersIn(formats, "ffn_down.weight", "Q5_K"));
    assertEquals("2 3 4 5 6 7 8 9 10 11 12 13 14 15", layersIn(formats, "ffn_down.weight", "Q4_K"));
  }

  @Test
  void eightExperts() throws IOException {
    Map<String, String> formats =
        metadata("llama", 8)
            .layers("attn_v.weight", "attn_k.weight", "attn_output.weight", "ffn_gate_inp.weight")
            .layers("ffn_down_exps.weight")
            .formats(FileType.Q4_K_M, false);
    assertEquals(ALL, layersIn(formats, "attn_v.weight", "Q8_0"));
    assertEquals(ALL, layersIn(formats, "attn_k.weight", "Q8_0"));
    assertEquals(ALL, layersIn(formats, "attn_output.weight", "Q5_K"));
    assertEquals(ALL, layersIn(formats, "ffn_gate_inp.weight", "F16"));
    assertEquals(MORE, layersIn(formats, "ffn_down_exps.weight", "Q6_K"));
  }

  @Test
  void falcon() throws IOException {
    Map<String, String> formats =
        metadata("falcon", 0)
            .tensor("output.weight", 256, 4)
            .layers("attn_qkv.weight", "ffn_down.weight")
            .formats(FileType.Q4_K_M, false);
    assertEquals("Q8_0", formats.get("output.weight"));
    assertEquals(MORE, layersIn(formats, "attn_qkv.weight", "Q6_K"));
    assertEquals("0", layersIn(formats, "ffn_down.weight", "Q6_K"));
    assertEquals("1 4 7 10 13 14 15", layersIn(formats, "ffn_down.weight", "Q5_K"));
  }

  @Test
  void importancesChangeTheFirstDownMatrices() throws IOException {
    Map<String, String> formats =
        metadata("llama", 0).layers("ffn_down.weight").formats(FileType.Q4_0, true);
    assertEquals("0 1", layersIn(formats, "ffn_down.weight", "Q4_1"));
    assertEquals("2 3 4 5 6 7 8 9 10 11 12 13 14 15", layersIn(formats, "ffn_down.weight", "Q4_0"));
  }

  @Test
  void whatIsNoMatrixOrSmallStays() throws IOException {
    Map<String, String> formats =
        metadata("llama", 0)
            .tensor("output_norm.weight", 256)
            .tensor("blk.0.attn_q.bias", 256, 2)
            .tensor("blk.0.ssm_conv1d.weight", 256, 2)
            .tensor("blk.0.wide_norm.weight", 256, 2)
            .tensor("position_embd.weight", 256, 2)
            .tensor("rope_freqs.weight", 256, 1)
            .tensor("blk.0.attn_q.weight", 256, 2)
            .formats(FileType.Q8_0, false);
    assertEquals("Q8_0", formats.remove("blk.0.attn_q.weight"));
    assertEquals(6, formats.size());
    formats.forEach((name, format) -> assertEquals("F16", format, name));
  }

  @Test
  void rowsThatAreNoWholeBlocksFallBack() throws IOException {
    Map<String, String> formats =
        metadata("llama", 0)
            .tensor("token_embd.weight", 96, 4)
            .tensor("blk.0.ffn_up.weight", 96, 2)
            .tensor("blk.0.ffn_down.weight", 96, 2)
            .tensor("blk.0.ffn_gate.weight", 40, 2)
            .tensor("blk.0.attn_v.weight", 96, 2)
            .formats(FileType.Q5_K_M, false);
    assertEquals("Q8_0", formats.get("token_embd.weight"));
    assertEquals("Q5_1", formats.get("blk.0.ffn_up.weight"));
    assertEquals("Q8_0", formats.get("blk.0.ffn_down.weight"));
    assertEquals("F16", formats.get("blk.0.ffn_gate.weight"));
  }
}
