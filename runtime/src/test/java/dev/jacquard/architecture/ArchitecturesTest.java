package dev.jacquard.architecture;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.tensor.Shape;
import dev.jacquard.testing.TestData;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArchitecturesTest {
  private static AlteredFile open(String name) {
    return new AlteredFile(ModelFile.open(TestData.resource("architectures/" + name + ".gguf")));
  }

  private static Program program(ModelFile file) {
    return Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
  }

  @Test
  void unknownFamiliesAreNotFound() {
    assertEquals(Optional.empty(), Architectures.byName("mamba"));
    assertEquals(
        List.of("llama", "gemma3"), Architectures.all().stream().map(Architecture::name).toList());
  }

  /** What a fault names, the model it is made in, and how. */
  static Stream<Arguments> faults() {
    String heads = ".attention.head_count";
    String epsilon = ".attention.layer_norm_rms_epsilon";
    return Stream.of(
        value("llama", heads, 0L),
        value("llama", heads, -6L),
        value("llama", heads, 7L),
        value("llama", heads, 1L << 33),
        value("llama", heads, new int[] {6, 6}),
        value("llama", heads, "six"),
        value("llama", ".attention.head_count_kv", 0L),
        value("llama", ".attention.head_count_kv", 4L),
        value("llama", ".attention.head_count_kv", 12L),
        value("llama", ".attention.key_length", 0L),
        value("llama", ".attention.key_length", 32767L),
        value("llama", ".attention.value_length", 8L),
        value("llama", ".block_count", 0L),
        value("llama", ".block_count", (long) Integer.MAX_VALUE),
        value("llama", ".block_count", 1L << 31),
        value("llama", ".embedding_length", 0L),
        value("llama", ".embedding_length", 63L),
        value("llama", ".embedding_length", (long) Integer.MAX_VALUE),
        value("llama", ".feed_forward_length", 0L),
        value("llama", ".feed_forward_length", 97L),
        value("llama", ".feed_forward_length", (long) Integer.MAX_VALUE),
        value("llama", epsilon, Double.NaN),
        value("llama", epsilon, Double.POSITIVE_INFINITY),
        value("llama", epsilon, -1e-5),
        value("llama", epsilon, 1.0),
        value("llama", ".rope.dimension_count", 0L),
        value("llama", ".rope.dimension_count", 7L),
        value("llama", ".rope.dimension_count", 18L),
        value("llama", ".rope.freq_base", Double.NaN),
        value("llama", ".rope.freq_base", 0.0),
        value("llama", ".rope.freq_base", 1.0),
        value("llama", ".rope.freq_base", Double.POSITIVE_INFINITY),
        value("llama-linear", ".rope.scaling.factor", Double.NaN),
        value("llama-linear", ".rope.scaling.factor", -2.0),
        value("llama-linear", ".rope.scaling.type", "longrope"),
        value("llama-linear", ".rope.scaling.type", 4L),
        value("llama-yarn", ".rope.scaling.original_context_length", 0L),
        value("llama-yarn", ".rope.scaling.attn_factor", -1.0),
        value("llama", ".expert_count", 8L),
        value("gemma3", ".attention.sliding_window", -1L),
        value("gemma3", ".attention.sliding_window_pattern", -1L),
        value("gemma3", ".attention.sliding_window_pattern", new boolean[] {true, false}),
        value("gemma3", ".rope.freq_base_swa", Double.NaN),
        value("gemma3", ".final_logit_softcapping", 30.0),
        missing("llama", "llama" + heads),
        missing("llama", "llama.block_count"),
        missing("llama", "llama.embedding_length"),
        missing("llama", "llama.feed_forward_length"),
        missing("llama", "llama" + epsilon),
        missing("llama", "token_embd.weight"),
        missing("llama", "output_norm.weight"),
        missing("llama", "blk.1.attn_q.weight"),
        missing("llama", "blk.1.ffn_down.weight"),
        missing("gemma3", "blk.0.attn_q_norm.weight"),
        missing("gemma3", "blk.5.post_ffw_norm.weight"),
        tensor("llama", "token_embd.weight", Shape.of(64, 310)),
        tensor("llama", "output.weight", Shape.of(64, 312)),
        tensor("llama", "blk.0.attn_q.weight", Shape.of(96, 64)),
        tensor("llama", "blk.0.attn_norm.weight", Shape.of(32)),
        tensor("llama", "blk.0.attn_norm.weight", Shape.of(64, 2)),
        tensor("llama-bias", "blk.0.attn_k.bias", Shape.of(31)),
        tensor("llama-llama3", "rope_freqs.weight", Shape.of(7)),
        tensor("llama-llama3", "rope_freqs.weight", Shape.of(8)),
        arguments(
            "tokenizer.ggml.tokens",
            "token_embd.weight",
            "llama",
            alteration(file -> file.with("tokenizer.ggml.tokens", new String[] {"a", "b"}))),
        arguments(
            "heads of odd size",
            "llama.rope.dimension_count",
            "llama",
            alteration(
                file ->
                    file.without("llama.rope.dimension_count")
                        .with("llama.attention.key_length", 15L))),
        arguments(
            "a layer too many",
            "blk.2.attn_norm.weight",
            "llama",
            alteration(file -> file.with("llama.block_count", 3L))),
        arguments(
            "no tokens",
            "tokenizer.ggml.tokens",
            "llama",
            alteration(file -> file.with("tokenizer.ggml.tokens", new String[0]))),
        arguments(
            "no vocabulary",
            "llama.vocab_size",
            "llama",
            alteration(file -> file.without("tokenizer.ggml.tokens"))),
        arguments(
            "wrong vocabulary size",
            "token_embd.weight",
            "llama",
            alteration(
                file -> file.without("tokenizer.ggml.tokens").with("llama.vocab_size", 300L))));
  }

  private static UnaryOperator<AlteredFile> alteration(UnaryOperator<AlteredFile> change) {
    return change;
  }

  /** A wrong value is named itself, or the tensor that it does not fit. */
  private static Arguments value(String model, String key, Object value) {
    String full = model.replaceAll("-.*", "") + key;
    return arguments(full + " = " + value, full, model, alteration(file -> file.with(full, value)));
  }

  private static Arguments missing(String model, String name) {
    return arguments("without " + name, name, model, alteration(file -> file.without(name)));
  }

  /** Tensors of zeros, whose values are wrong where the shape is right. */
  private static Arguments tensor(String model, String name, Shape shape) {
    return arguments(
        name + " " + shape, name, model, alteration(file -> file.withTensor(name, shape)));
  }

  @ParameterizedTest(name = "{2}, {0}")
  @MethodSource("faults")
  void faultsAreNamed(
      String fault, String named, String model, UnaryOperator<AlteredFile> alteration) {
    try (AlteredFile file = open(model)) {
      AlteredFile altered = alteration.apply(file);
      ModelFormatException e =
          assertThrows(ModelFormatException.class, () -> program(altered), fault);
      String message = String.valueOf(e.getMessage());
      boolean shape = message.contains(".weight to be ");
      assertTrue(message.contains(model + ".gguf"), message);
      assertTrue(message.contains(named) || (named.startsWith(model) && shape), message);
    }
  }

  @Test
  void afterTheLastAttentionOnlyWantedRowsGoOn() {
    try (AlteredFile file = open("llama")) {
      Program program = program(file);
      assertEquals(Slot.Domain.OUTPUT, program.logits().domain());
      List<Op> ops = program.ops();
      int last =
          ops.lastIndexOf(
              ops.stream()
                  .filter(Op.Attention.class::isInstance)
                  .reduce((a, b) -> b)
                  .orElseThrow());
      assertTrue(ops.get(last + 1) instanceof Op.SelectRows);
      assertTrue(ops.get(last + 2) instanceof Op.SelectRows);
      for (Op op : ops.subList(last + 3, ops.size())) {
        Program.inputs(op).forEach(slot -> assertEquals(Slot.Domain.OUTPUT, slot.domain()));
      }
      for (Op op : ops.subList(0, last)) {
        Program.outputs(op).forEach(slot -> assertEquals(Slot.Domain.ALL, slot.domain()));
      }
    }
  }

  @Test
  void tiedEmbeddingsAreOneWeight() {
    try (AlteredFile file = open("llama")) {
      file.without("output.weight");
      Program program = program(file);
      Op.Head logits = (Op.Head) program.ops().getLast();
      Op.Embed embed = (Op.Embed) program.ops().getFirst();
      assertEquals(embed.table(), logits.output().weight());
    }
  }

  @Test
  void windowsFollowThePeriod() {
    try (AlteredFile file = open("gemma3")) {
      assertEquals(List.of(32, 32, 32, 32, 32, 0), windows(file));
      String pattern = "gemma3.attention.sliding_window_pattern";
      assertEquals(List.of(32, 0, 32, 0, 32, 0), windows(file.with(pattern, 2L)));
      assertEquals(List.of(32, 32, 32, 32, 32, 32), windows(file.with(pattern, 0L)));
      assertEquals(
          List.of(0, 0, 0, 0, 0, 0), windows(file.without("gemma3.attention.sliding_window")));
    }
  }

  private static List<Integer> windows(ModelFile file) {
    Program program = program(file);
    List<Integer> windows = program.kv().layers().stream().map(KvSpec.Layer::window).toList();
    List<Integer> ofOps =
        program.ops().stream()
            .filter(Op.Attention.class::isInstance)
            .map(op -> ((Op.Attention) op).window())
            .toList();
    assertEquals(windows, ofOps);
    return windows;
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "linear", "yarn"})
  void aScalingWithoutFactorChangesNothing(String type) {
    try (AlteredFile plain = open("llama");
        AlteredFile scaled = open("llama")) {
      scaled.with("llama.rope.scaling.type", type);
      assertEquals(rotary(plain), rotary(scaled));
    }
  }

  @Test
  void theKindsOfScaling() {
    try (AlteredFile file = open("llama")) {
      double[] plain = rotary(file).frequencies();
      file.with("llama.rope.scale_linear", 4.0);
      assertEquals(plain[3] / 4, rotary(file).frequencies()[3], "the old key");
      file.with("llama.rope.scaling.factor", 2.0);
      assertEquals(plain[3] / 2, rotary(file).frequencies()[3], "the new key comes first");
      file.withTensor("rope_freqs.weight", Shape.of(8), 1, 1, 1, 8, 1, 1, 1, 1);
      assertEquals(plain[3] / 16, rotary(file).frequencies()[3]);
      file.without("rope_freqs.weight").with("llama.rope.scaling.attn_factor", 1.5);
      assertEquals(1.5f, rotary(file).amplitude());

      file.with("llama.rope.scaling.type", "none");
      assertArrayEquals(plain, rotary(file).frequencies());

      file.with("llama.rope.scaling.type", "yarn").with("llama.rope.scaling.factor", 4.0);
      double[] yarn = rotary(file).frequencies();
      assertEquals(plain[0], yarn[0], "fast pairs stay as they are");
      assertEquals(plain[7] / 4, yarn[7], "slow pairs take the whole factor");
      assertEquals(1.5f * (1 + 0.1 * Math.log(4)), rotary(file).amplitude(), 1e-6);
    }
  }

  private static RotaryEmbedding rotary(ModelFile file) {
    return program(file).ops().stream()
        .filter(Op.Rope.class::isInstance)
        .map(op -> ((Op.Rope) op).rotary())
        .findFirst()
        .orElseThrow();
  }

  @Test
  void headSizesDefaultToWidthDividedByHeads() {
    try (ModelFile bundled = ModelFile.open(TestData.bundledModel());
        AlteredFile file = new AlteredFile(bundled)) {
      assertEquals(new KvSpec.Layer(4, 32, 32, 0), program(file).kv().layers().getFirst());
      file.without("llama.rope.dimension_count");
      assertEquals(16, rotary(file).frequencies().length);
    }
  }
}
