package dev.jacquard.quantization;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The formats that llama.cpp gives the tensors of a file, as far as its file types are known here.
 * Tensors must be asked for in the order in which llama.cpp meets them, because some rules count
 * them: {@link QuantizationPlan} sorts.
 *
 * <p>Source: {@code src/llama-quant.cpp} of llama.cpp (commit 3f545bec, August 2026): {@code
 * tensor_allows_quantization}, {@code llama_tensor_get_type} and {@code tensor_type_fallback}.
 */
final class MixedTypes {
  /** Matrices that are small, or known to suffer: they stay as they are. */
  private static final List<String> KEPT =
      List.of(
          "_norm.weight",
          "ffn_gate_inp.weight",
          "ffn_gate_tid2eid.weight",
          "altup",
          "laurel",
          "per_layer_model_proj",
          "ssm_conv1d",
          "shortconv.conv.weight",
          "indexer.k_proj.weight",
          "indexer.q_proj.weight",
          "time_mix_first.weight",
          "time_mix_w0.weight",
          "time_mix_w1.weight",
          "time_mix_w2.weight",
          "time_mix_v0.weight",
          "time_mix_v1.weight",
          "time_mix_v2.weight",
          "time_mix_a0.weight",
          "time_mix_a1.weight",
          "time_mix_a2.weight",
          "time_mix_g1.weight",
          "time_mix_g2.weight",
          "time_mix_decay_w1.weight",
          "time_mix_decay_w2.weight",
          "time_mix_lerp_fused.weight",
          "attn_rel_b.weight",
          ".position_embd",
          "sam.pos_embd",
          "sam.neck.",
          "sam.net_",
          ".rel_pos",
          ".patch_embd",
          ".patch_merger",
          "a.rvq.codebook",
          "mm.a.code_embd");

  private static final Pattern LAYER = Pattern.compile("^blk\\.(\\d+)\\.");

  private static final ElementFormat F16 = format("F16");
  private static final ElementFormat Q4_1 = format("Q4_1");
  private static final ElementFormat Q5_0 = format("Q5_0");
  private static final ElementFormat Q5_1 = format("Q5_1");
  private static final ElementFormat Q5_K = format("Q5_K");
  private static final ElementFormat Q6_K = format("Q6_K");
  private static final ElementFormat Q8_0 = format("Q8_0");

  private final TypeChoice choice;
  private final boolean importances;
  private final boolean falcon;
  private final boolean sharedValues;
  private final int experts;
  private final int layers;
  private final boolean tied;
  private final int valueMatrices;
  private int valueMatrix;
  private int downMatrix;

  /**
   * Of a model.
   *
   * @param importances whether there is an importance matrix
   */
  MixedTypes(ModelFile file, TypeChoice choice, boolean importances) {
    this.choice = choice;
    this.importances = importances;
    ModelMetadata metadata = file.metadata();
    String architecture = metadata.string("general.architecture", "");
    List<String> names = file.tensors().stream().map(TensorInfo::name).toList();
    falcon = architecture.equals("falcon");
    experts = metadata.integer(architecture + ".expert_count", 0);
    layers = metadata.integer(architecture + ".block_count", layersOf(names));
    sharedValues = isSeventyBillion(architecture, metadata);
    tied = !names.contains("output.weight");
    valueMatrices = (int) names.stream().filter(n -> Role.of(n) == Role.VALUE).count();
  }

  private static ElementFormat format(String name) {
    return ElementFormats.byName(name).orElseThrow();
  }

  private static int layersOf(List<String> names) {
    return 1 + names.stream().mapToInt(n -> layer(n).orElse(-1)).max().orElse(-1);
  }

  /** The layer that a tensor's name tells. */
  static Optional<Integer> layer(String name) {
    Matcher matcher = LAYER.matcher(name);
    return matcher.find() ? Optional.of(Integer.valueOf(matcher.group(1))) : Optional.empty();
  }

  /** Models of 70 B parameters, whose value matrices are small and count for eight heads each. */
  private boolean isSeventyBillion(String architecture, ModelMetadata metadata) {
    return switch (architecture) {
      case "llama" -> {
        Object heads = metadata.get("llama.attention.head_count").orElse(0);
        Object kvHeads = metadata.get("llama.attention.head_count_kv").orElse(heads);
        yield layers == 80 && !heads.equals(kvHeads);
      }
      case "qwen2", "deci", "olmo" -> layers == 80;
      case "jais2" -> layers == 68;
      default -> false;
    };
  }

  /** Whether a tensor is a matrix that may change its format. */
  static boolean allowed(TensorInfo tensor) {
    String name = tensor.name();
    return tensor.shape().rows() > 1
        && name.endsWith("weight")
        && !name.equals("position_embd.weight")
        && !name.equals("token_types.weight")
        && KEPT.stream().noneMatch(name::contains);
  }

  /**
   * The format of the next tensor.
   *
   * @throws QuantizationException if its rows are no whole blocks of any that could do
   */
  ElementFormat next(TensorInfo tensor) {
    Role role = Role.of(tensor.name());
    if (role == Role.TOKEN_EMBEDDING && choice.tokenEmbedding() != null) {
      return fitting(tensor, choice.tokenEmbedding());
    }
    if (role == Role.OUTPUT && choice.output() != null) {
      return fitting(tensor, choice.output());
    }
    Optional<ElementFormat> ruled = choice.ruled(tensor.name());
    if (ruled.isPresent()) {
      return fitting(tensor, ruled.get());
    }
    boolean blocks = choice.type().format().blockSize() > 1;
    return fitting(tensor, blocks ? mixed(tensor, role) : choice.type().format());
  }

  private ElementFormat mixed(TensorInfo tensor, Role role) {
    return switch (role) {
      case OUTPUT -> output(tensor);
      case TOKEN_EMBEDDING -> tied ? output(tensor) : choice.type().format();
      case VALUE -> value(valueMatrix++);
      case KEY -> experts == 8 ? Q8_0 : choice.type().format();
      case ATTENTION_OUTPUT -> attentionOutput();
      case DOWN -> {
        int index = experts > 1 ? layer(tensor.name()).orElse(downMatrix) : downMatrix;
        downMatrix++;
        yield down(index);
      }
      case OTHER -> choice.type().format();
    };
  }

  /** The output matrix, or the token table where that serves as one. */
  private ElementFormat output(TensorInfo tensor) {
    if (choice.output() != null) {
      return choice.output();
    }
    ElementFormat usual = choice.type().format();
    boolean divisible = tensor.shape().columns() % usual.blockSize() == 0;
    return falcon || !divisible || usual.equals(Q8_0) ? Q8_0 : Q6_K;
  }

  private ElementFormat value(int index) {
    ElementFormat format =
        switch (choice.type()) {
          case Q4_K_M, Q5_K_M -> moreBits(index, valueMatrices) ? Q6_K : choice.type().format();
          case Q4_K_S -> index < 4 ? Q5_K : choice.type().format();
          case F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q5_K_S, Q6_K -> choice.type().format();
        };
    if (experts == 8) {
      return Q8_0;
    }
    return sharedValues && format.name().equals("Q4_K") ? Q5_K : format;
  }

  private ElementFormat attentionOutput() {
    boolean more =
        !falcon
            && experts == 8
            && (choice.type() == FileType.Q4_K_S || choice.type() == FileType.Q4_K_M);
    return more ? Q5_K : choice.type().format();
  }

  private ElementFormat down(int index) {
    boolean first = index < layers / 8;
    ElementFormat usual = choice.type().format();
    return switch (choice.type()) {
      case Q4_K_M ->
          falcon
              ? index < layers / 16 ? Q6_K : moreBits(index, layers) ? Q5_K : usual
              : moreBits(index, layers) ? Q6_K : usual;
      case Q5_K_M -> moreBits(index, layers) ? Q6_K : usual;
      case Q4_K_S -> !falcon && first ? Q5_K : usual;
      // With importances the first layers' down matrices can go wild in formats without minimum.
      case Q4_0 -> importances && first ? Q4_1 : usual;
      case Q5_0 -> importances && first ? Q5_1 : usual;
      case F32, F16, BF16, Q8_0, Q4_1, Q5_1, Q5_K_S, Q6_K -> usual;
    };
  }

  /** The first and the last eighth of the layers, and every third between. */
  private static boolean moreBits(int index, int count) {
    return index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2;
  }

  /** The format, or the one that stands in where rows are no whole blocks of it. */
  private static ElementFormat fitting(TensorInfo tensor, ElementFormat format) {
    long columns = tensor.shape().columns();
    if (columns % format.blockSize() == 0) {
      return format;
    }
    ElementFormat smaller =
        switch (format.name()) {
          case "Q4_K" -> Q5_0;
          case "Q5_K" -> Q5_1;
          case "Q6_K" -> Q8_0;
          default ->
              throw new QuantizationException(
                  ("tensor %s has rows of %d numbers, which are no whole %s blocks of %d: give it"
                          + " another format, as --tensor-type '%s=F16'")
                      .formatted(
                          tensor.name(),
                          columns,
                          format.name(),
                          format.blockSize(),
                          tensor.name()));
        };
    return columns % smaller.blockSize() == 0 ? smaller : F16;
  }
}
