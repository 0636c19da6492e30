package dev.jacquard.kernels;

import dev.jacquard.kernels.Slot.Domain;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Everything a backend must be able to compute. A new op is one more record here; the compiler then
 * lists every backend that has to answer it, since all switch over ops without a default.
 *
 * <p>Shapes are written [rows × columns]; {@code n} is the number of rows of the step (of output
 * rows in slots of domain {@link Domain#OUTPUT}). All activations are float32. Where an input and
 * an output slot may be equal, the op works in place.
 */
public sealed interface Op {

  /** A matrix with an optional bias: {@code y = W·x + b}. Bias: one value per row of the matrix. */
  record Linear(Weight weight, @Nullable Weight bias) {
    /** Checks that the bias fits. */
    public Linear {
      if (bias != null) {
        require(
            bias.tensor().shape().elements() == weight.rows(),
            () -> "bias " + bias + " does not fit " + weight);
      }
    }
  }

  /** One matrix of a {@link MatMul} and where its result goes. */
  record Projection(Linear linear, Slot out) {
    /** Checks that the slot fits. */
    public Projection {
      require(
          out.width() == linear.weight().rows(),
          () -> out + " cannot hold the result of " + linear.weight());
    }
  }

  /**
   * Looks up token rows: {@code out[i] = scale · table[token(i)]}.
   *
   * @param table [vocabulary × width]
   */
  record Embed(Weight table, float scale, Slot out) implements Op {
    /** Checks. */
    public Embed {
      require(
          out.width() == table.columns() && out.domain() == Domain.ALL,
          () -> out + " does not fit " + table);
    }
  }

  /**
   * Root mean square norm (arXiv 1910.07467) over groups of {@code weight.columns} consecutive
   * values: {@code y = x / sqrt(mean(x²) + epsilon) · weight}. One group for a whole row, or one
   * per head. {@code in} and {@code out} may be equal.
   */
  record RmsNorm(Slot in, Weight weight, float epsilon, Slot out) implements Op {
    /** Checks. */
    public RmsNorm {
      require(in.width() == out.width() && in.domain() == out.domain(), () -> in + " to " + out);
      require(in.width() % weight.columns() == 0, () -> weight + " does not divide " + in);
    }
  }

  /**
   * Several matrices applied to one input, so that it is prepared once (Q, K and V): {@code out_p =
   * W_p · in + b_p} for every row.
   */
  record MatMul(Slot in, List<Projection> projections) implements Op {
    /** Checks and copies. */
    public MatMul {
      projections = List.copyOf(projections);
      for (Projection p : projections) {
        require(
            p.linear().weight().columns() == in.width() && p.out().domain() == in.domain(),
            () -> p + " does not fit its input " + in);
        require(!p.out().equals(in), () -> "a matrix product cannot work in place: " + p);
      }
    }
  }

  /** Turns each head of {@code headSize} values of {@code inOut} by the position of its row. */
  record Rope(Slot inOut, int headSize, RotaryEmbedding rotary) implements Op {
    /** Checks. */
    public Rope {
      require(inOut.width() % headSize == 0, () -> "heads of " + headSize + " in " + inOut);
      require(
          rotary.frequencies().length * 2 <= headSize,
          () -> rotary.frequencies().length + " pairs in heads of " + headSize);
    }
  }

  /**
   * Appends the rows' keys and values to the cache of {@code layer}, at the page and offset that
   * the step names for each row; rounded to the format of the storage.
   *
   * @param key [n × kvHeads·keySize]
   * @param value [n × kvHeads·valueSize]
   */
  record WriteKv(int layer, Slot key, Slot value) implements Op {
    /** Checks. */
    public WriteKv {
      require(
          key.domain() == Domain.ALL && value.domain() == Domain.ALL,
          () -> "keys and values are written for all rows: " + key + ", " + value);
    }
  }

  /**
   * Chooses which of the visible tokens each row's attention reads, and how, by the {@link
   * Exactness} of its sequence; after {@link WriteKv} of the same layer, which has no window. Rows
   * of class DENSE are not in the list. What each class chooses is written down in
   * docs/attention.md.
   *
   * @param query [n × heads·keySize]
   * @param scale factor on the scores
   * @param softCap as in {@link Attention}
   */
  record SelectPages(int layer, Slot query, int heads, float scale, float softCap, PageList out)
      implements Op {
    /** Checks. */
    public SelectPages {
      require(query.domain() == Domain.ALL, () -> "pages are chosen for all rows: " + query);
    }
  }

  /**
   * Softmax attention of each row over the cached keys of its own sequence, after {@link WriteKv}
   * of the same layer. A row at position p sees positions {@code q ≤ p} and, with a window, {@code
   * q > p − window}. Query head h reads key/value head {@code h / (heads / kvHeads)}.
   *
   * @param query [n × heads·keySize]
   * @param out [n × heads·valueSize]
   * @param scale factor on the scores, as 1/√keySize
   * @param window number of visible positions, or 0 for all
   * @param softCap scores become {@code softCap·tanh(score / softCap)}, or 0 for no cap
   * @param pages what {@link SelectPages} chose for this layer, or null to read all that is visible
   */
  record Attention(
      int layer,
      Slot query,
      Slot out,
      int heads,
      float scale,
      int window,
      float softCap,
      @Nullable PageList pages)
      implements Op {
    /** Checks. */
    public Attention {
      require(
          query.domain() == Domain.ALL && out.domain() == Domain.ALL,
          () -> "attention is computed for all rows: " + query + " to " + out);
    }
  }

  /** The nonlinearity of a gated feed-forward layer. */
  enum Activation {
    /** {@code x · sigmoid(x)}. */
    SILU,
    /** GELU by the tanh formula: {@code 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))}. */
    GELU_TANH
  }

  /**
   * Gated feed-forward layer: {@code hidden = activation(gate(in)) ⊙ up(in)}, {@code out =
   * down(hidden)}. Neurons that the {@link NeuronRule} of a row's sequence leaves out are 0 in
   * {@code hidden}.
   *
   * @param layer number of the layer, for the rule
   * @param gate [neurons × width]
   * @param up [neurons × width]
   * @param down [width × neurons]
   * @param hidden [n × neurons], for whoever examines a step: a backend that fuses may leave it
   *     unwritten in a step without an observer
   */
  record FeedForward(
      int layer,
      Slot in,
      Linear gate,
      Linear up,
      Linear down,
      Activation activation,
      Slot hidden,
      Slot out)
      implements Op {
    /** Checks. */
    public FeedForward {
      require(
          gate.weight().columns() == in.width()
              && up.weight().columns() == in.width()
              && gate.weight().rows() == up.weight().rows()
              && down.weight().columns() == gate.weight().rows()
              && down.weight().rows() == out.width()
              && hidden.width() == gate.weight().rows()
              && in.domain() == hidden.domain()
              && in.domain() == out.domain(),
          () ->
              "feed-forward shapes: "
                  + gate.weight()
                  + ", "
                  + up.weight()
                  + ", "
                  + down.weight()
                  + " from "
                  + in
                  + " through "
                  + hidden
                  + " to "
                  + out);
    }

    /** Number of neurons. */
    public int neurons() {
      return gate.weight().rows();
    }
  }

  /**
   * The output head: logits {@code out = W·in + b}, of all tokens or of those that the {@link
   * HeadRule} of a row's sequence wants.
   *
   * @param in [outputs × width]
   * @param output [vocabulary × width]
   * @param out [outputs × vocabulary]; a logit that is not computed is {@link
   *     Float#NEGATIVE_INFINITY}
   */
  record Head(Slot in, Linear output, Slot out) implements Op {
    /** Checks. */
    public Head {
      require(
          output.weight().columns() == in.width()
              && output.weight().rows() == out.width()
              && in.domain() == Domain.OUTPUT
              && out.domain() == Domain.OUTPUT,
          () -> in + " through " + output.weight() + " to " + out);
    }
  }

  /** {@code out = a + b}; {@code out} may be either. */
  record Add(Slot a, Slot b, Slot out) implements Op {
    /** Checks. */
    public Add {
      require(
          a.width() == b.width()
              && a.width() == out.width()
              && a.domain() == b.domain()
              && a.domain() == out.domain(),
          () -> a + " + " + b + " to " + out);
    }
  }

  /** Keeps the rows whose output is wanted. {@code in}: all rows; {@code out}: output rows. */
  record SelectRows(Slot in, Slot out) implements Op {
    /** Checks. */
    public SelectRows {
      require(
          in.width() == out.width() && in.domain() == Domain.ALL && out.domain() == Domain.OUTPUT,
          () -> in + " to " + out);
    }
  }

  private static void require(boolean holds, java.util.function.Supplier<String> message) {
    if (!holds) {
      throw new IllegalArgumentException(message.get());
    }
  }
}
