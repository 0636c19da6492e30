package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;

/** Softmax attention in two passes over the visible tokens: all scores first, then the values. */
final class ScalarAttention {
  private final WorkerPool pool;
  private final Scratch[] scratch;

  ScalarAttention(WorkerPool pool) {
    this.pool = pool;
    scratch = new Scratch[pool.threads()];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  /** Buffers of a thread, grown when a longer sequence or a larger head comes along. */
  private static final class Scratch {
    float[] vector = {};
    double[] scores = {};
    double[] sum = {};

    void reserve(int size, int tokens, int sums) {
      if (vector.length < size) {
        vector = new float[size];
      }
      if (scores.length < tokens) {
        scores = new double[Math.max(tokens, 2 * scores.length)];
      }
      if (sum.length < sums) {
        sum = new double[sums];
      }
    }
  }

  void run(Op.Attention op, StepInputs inputs, ReferenceKvStorage kv, float[] query, float[] out) {
    int kvHeads = kv.spec().layers().get(op.layer()).heads();
    pool.run(
        inputs.rows() * kvHeads,
        1,
        (from, to, thread) -> {
          for (int i = from; i < to; i++) {
            run(op, inputs, kv, i / kvHeads, i % kvHeads, query, out, scratch[thread]);
          }
        });
  }

  /** All query heads of one row that read key/value head {@code kvHead}. */
  private static void run(
      Op.Attention op,
      StepInputs inputs,
      ReferenceKvStorage kv,
      int row,
      int kvHead,
      float[] query,
      float[] out,
      Scratch scratch) {
    KvSpec.Layer layer = kv.spec().layers().get(op.layer());
    KvView view = inputs.view(inputs.sequence(row), kv.groupOf(op.layer()));
    int keySize = layer.keySize();
    int valueSize = layer.valueSize();
    int shared = op.heads() / layer.heads();
    int last = inputs.position(row);
    int first = op.window() == 0 ? 0 : Math.max(0, last - op.window() + 1);
    int tokens = visible(view, first, last);
    scratch.reserve(Math.max(keySize, valueSize), tokens * shared, valueSize * shared);
    float[] vector = scratch.vector;
    double[] scores = scratch.scores;
    double[] sum = scratch.sum;

    int firstQuery = (row * op.heads() + kvHead * shared) * keySize;
    int t = 0;
    for (int e = 0; e < view.size(); e++) {
      int end = end(view, e, last);
      for (int offset = start(view, e, first); offset < end; offset++, t++) {
        kv.readKey(op.layer(), view.page(e), offset, kvHead, vector, 0);
        for (int h = 0; h < shared; h++) {
          double score = dot(query, firstQuery + h * keySize, vector, keySize) * op.scale();
          if (op.softCap() != 0) {
            score = op.softCap() * Math.tanh(score / op.softCap());
          }
          scores[h * tokens + t] = score;
        }
      }
    }
    for (int h = 0; h < shared; h++) {
      softmax(scores, h * tokens, tokens);
    }
    Arrays.fill(sum, 0, valueSize * shared, 0);
    t = 0;
    for (int e = 0; e < view.size(); e++) {
      int end = end(view, e, last);
      for (int offset = start(view, e, first); offset < end; offset++, t++) {
        kv.readValue(op.layer(), view.page(e), offset, kvHead, vector, 0);
        for (int h = 0; h < shared; h++) {
          double probability = scores[h * tokens + t];
          for (int i = 0; i < valueSize; i++) {
            sum[h * valueSize + i] += probability * vector[i];
          }
        }
      }
    }
    int firstOut = (row * op.heads() + kvHead * shared) * valueSize;
    for (int i = 0; i < shared * valueSize; i++) {
      out[firstOut + i] = (float) sum[i];
    }
  }

  private static int visible(KvView view, int first, int last) {
    int tokens = 0;
    for (int e = 0; e < view.size(); e++) {
      tokens += Math.max(0, end(view, e, last) - start(view, e, first));
    }
    return tokens;
  }

  /** Offset, in its page, of the first token of an entry from position {@code first} on. */
  private static int start(KvView view, int entry, int first) {
    return Math.max(0, first - view.firstPosition(entry));
  }

  /** Offset behind the last token of an entry up to position {@code last}. */
  private static int end(KvView view, int entry, int last) {
    return Math.min(view.length(entry), last + 1 - view.firstPosition(entry));
  }

  private static double dot(float[] a, int from, float[] b, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += (double) a[from + i] * b[i];
    }
    return sum;
  }

  private static void softmax(double[] x, int from, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = from; i < from + count; i++) {
      max = Math.max(max, x[i]);
    }
    double sum = 0;
    for (int i = from; i < from + count; i++) {
      x[i] = Math.exp(x[i] - max);
      sum += x[i];
    }
    for (int i = from; i < from + count; i++) {
      x[i] /= sum;
    }
  }
}
