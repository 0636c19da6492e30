package dev.jacquard.architecture;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Op.Projection;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.Weight;
import dev.jacquard.modelfile.ModelFile;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes the program of a decoder piece by piece, under GGUF's tensor names. Each layer is two
 * branches that read the residual stream and are added to it:
 *
 * <pre>
 *  embed
 *  beginLayer
 *          normalise, queryKeyValue, rotate, attend,  addBranch
 *          normalise, feedForward,                    addBranch
 *  program (last norm, logits)
 * </pre>
 *
 * <p>After the attention of the last layer only the rows whose output is wanted go on.
 */
final class Blocks {
  private static final String EMBEDDING = "token_embd.weight";
  private static final PageList PAGES = new PageList("pages");

  private final Weights weights;
  private final Hyperparameters sizes;
  private final List<Op> ops = new ArrayList<>();
  private final List<KvSpec.Layer> kv = new ArrayList<>();
  private final Weight embedding;
  private final Slot query;
  private final Slot key;
  private final Slot value;
  private Domain rows = Domain.ALL;
  private int layer;

  Blocks(ModelFile file, Hyperparameters sizes) {
    weights = new Weights(file);
    this.sizes = sizes;
    embedding = weights.matrix(EMBEDDING, sizes.width(), sizes.vocabulary());
    query = slot("query", sizes.queryWidth());
    key = slot("key", sizes.keyWidth());
    value = slot("value", sizes.valueWidth());
  }

  private Slot slot(String name, int width) {
    return new Slot(rows == Domain.ALL ? name : name + ".output", width, rows);
  }

  private Slot residual() {
    return slot("residual", sizes.width());
  }

  private Slot normalised() {
    return slot("normalised", sizes.width());
  }

  private Slot branch() {
    return slot("branch", sizes.width());
  }

  private Slot attended() {
    return slot("attended", sizes.attendedWidth());
  }

  private String named(String name) {
    return "blk." + layer + "." + name;
  }

  private void norm(Slot in, String name, int size, Slot out) {
    ops.add(new Op.RmsNorm(in, weights.vector(name, size), sizes.epsilon(), out));
  }

  /** Tokens become the residual stream, multiplied by {@code scale}. */
  void embed(float scale) {
    ops.add(new Op.Embed(embedding, scale, residual()));
  }

  /** What follows belongs to this layer; they come in order. */
  void beginLayer(int number) {
    layer = number;
  }

  /** Begins a branch with a norm of the residual stream. */
  void normalise(String name) {
    norm(residual(), named(name + ".weight"), sizes.width(), normalised());
  }

  /** Queries, keys and values of all heads. */
  void queryKeyValue() {
    Slot in = normalised();
    ops.add(
        new Op.MatMul(
            in,
            List.of(
                projection("attn_q", in, query),
                projection("attn_k", in, key),
                projection("attn_v", in, value))));
  }

  private Projection projection(String name, Slot in, Slot out) {
    return new Projection(weights.linear(named(name), in.width(), out.width()), out);
  }

  /** Norms of each query and key head. */
  void normaliseHeads() {
    norm(query, named("attn_q_norm.weight"), sizes.keySize(), query);
    norm(key, named("attn_k_norm.weight"), sizes.keySize(), key);
  }

  /** Turns queries and keys by their positions. */
  void rotate(RotaryEmbedding rotary) {
    ops.add(new Op.Rope(query, sizes.keySize(), rotary));
    ops.add(new Op.Rope(key, sizes.keySize(), rotary));
  }

  /**
   * Caches keys and values, attends, and projects the result to the branch.
   *
   * @param scale factor on the scores
   * @param window visible positions, or 0 for all
   */
  void attend(float scale, int window) {
    kv.add(new KvSpec.Layer(sizes.kvHeads(), sizes.keySize(), sizes.valueSize(), window));
    ops.add(new Op.WriteKv(layer, key, value));
    PageList pages = window == 0 ? PAGES : null;
    if (pages != null) {
      ops.add(new Op.SelectPages(layer, query, sizes.heads(), scale, 0, pages));
    }
    ops.add(new Op.Attention(layer, query, attended(), sizes.heads(), scale, window, 0, pages));
    if (layer == sizes.layers() - 1) {
      keepOutputs();
    }
    ops.add(new Op.MatMul(attended(), List.of(projection("attn_output", attended(), branch()))));
  }

  private void keepOutputs() {
    Slot allAttended = attended();
    Slot allResidual = residual();
    rows = Domain.OUTPUT;
    ops.add(new Op.SelectRows(allAttended, attended()));
    ops.add(new Op.SelectRows(allResidual, residual()));
  }

  /** A norm of the branch before it is added. */
  void normaliseBranch(String name) {
    norm(branch(), named(name + ".weight"), sizes.width(), branch());
  }

  /** The residual stream takes the branch up. */
  void addBranch() {
    ops.add(new Op.Add(residual(), branch(), residual()));
  }

  /** The gated feed-forward branch. */
  void feedForward(Op.Activation activation) {
    int width = sizes.width();
    int hidden = sizes.neurons().get(layer);
    ops.add(
        new Op.FeedForward(
            layer,
            normalised(),
            weights.linear(named("ffn_gate"), width, hidden),
            weights.linear(named("ffn_up"), width, hidden),
            weights.linear(named("ffn_down"), hidden, width),
            activation,
            slot("hidden", hidden),
            branch()));
  }

  /** The last norm and the logits; the embedding serves where there is no output matrix. */
  Program program() {
    norm(residual(), "output_norm.weight", sizes.width(), normalised());
    Op.Linear output =
        weights.has("output.weight")
            ? weights.linear("output", sizes.width(), sizes.vocabulary())
            : new Op.Linear(embedding, null);
    Slot logits = slot("logits", sizes.vocabulary());
    ops.add(new Op.Head(normalised(), output, logits));
    return new Program(ops, new KvSpec(kv), logits);
  }
}
