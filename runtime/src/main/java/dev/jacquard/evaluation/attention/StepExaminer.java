package dev.jacquard.evaluation.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.evaluation.attention.AttentionMethod.OfBaseline;
import dev.jacquard.evaluation.attention.AttentionMethod.OfClass;
import dev.jacquard.evaluation.attention.AttentionResults.BoundPoint;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Stands beside a step of one row. After the tokens of a layer are chosen it can replace the choice
 * by a baseline's; after attention it can compare the result with what all tokens give for the same
 * query. Keys and values come from a copy on the heap, made once per prefix.
 */
final class StepExaminer implements Executable.Observer {
  private static final int MOST_POINTS = 400;

  private final AttentionLab lab;
  private final Map<Integer, Layer> layers = new HashMap<>();
  private AttentionMethod method = new OfClass(Exactness.DENSE);
  private boolean audited;
  private long seed;
  private long bytes;
  private final List<BoundPoint> points = new ArrayList<>();
  private int offered;
  private int pointStride = 1;

  /** What is kept of a layer. */
  private static final class Layer {
    final GlobalLayer layer;
    final MirroredHead[] heads;
    final HeadAudit[] audits;
    final float[] query;
    final float[] out;
    float[] weights = {};
    int stride;

    Layer(GlobalLayer layer) {
      this.layer = layer;
      KvSpec.Layer kv = layer.kv();
      int queryHeads = layer.select().heads();
      heads = new MirroredHead[kv.heads()];
      for (int i = 0; i < heads.length; i++) {
        heads[i] = new MirroredHead(kv.keySize(), kv.valueSize());
      }
      audits = new HeadAudit[queryHeads];
      query = new float[queryHeads * kv.keySize()];
      out = new float[queryHeads * kv.valueSize()];
      clear();
    }

    void clear() {
      for (int h = 0; h < audits.length; h++) {
        audits[h] = new HeadAudit();
      }
    }
  }

  StepExaminer(AttentionLab lab) {
    this.lab = lab;
    for (GlobalLayer layer : lab.layers()) {
      layers.put(layer.index(), new Layer(layer));
    }
  }

  /** Begins a run of a method on a sequence whose first {@code shared} tokens were seen before. */
  void begin(AttentionMethod newMethod, int shared) {
    method = newMethod;
    points.clear();
    offered = 0;
    pointStride = 1;
    for (Layer layer : layers.values()) {
      layer.clear();
      for (MirroredHead head : layer.heads) {
        head.truncate(shared);
      }
    }
  }

  /** The next step follows. */
  void step(boolean examined, long newSeed) {
    audited = examined;
    seed = newSeed;
    bytes = 0;
  }

  /** Bytes that the baseline read in the last step, all global layers. */
  long baselineBytes() {
    return bytes;
  }

  /** What is known of a query head of a layer. */
  HeadAudit audit(int layer, int head) {
    return at(layer).audits[head];
  }

  /** Some of the bounds that were given, with the true errors. */
  List<BoundPoint> points() {
    return List.copyOf(points);
  }

  private Layer at(int layer) {
    Layer found = layers.get(layer);
    if (found == null) {
      throw new IllegalArgumentException("layer " + layer + " has a window, or is none");
    }
    return found;
  }

  @Override
  public void after(int index, Op op) {
    switch (op) {
      case Op.SelectPages o -> select(o, at(o.layer()));
      case Op.Attention o -> {
        PageList pages = o.pages();
        if (audited && pages != null && !isDense()) {
          examine(o, lab.executable().pages(pages), at(o.layer()));
        }
      }
      case Op.Embed _,
          Op.RmsNorm _,
          Op.MatMul _,
          Op.Rope _,
          Op.WriteKv _,
          Op.FeedForward _,
          Op.Add _,
          Op.SelectRows _,
          Op.Head _ -> {}
    }
  }

  private boolean isDense() {
    return method instanceof OfClass(Exactness.Dense _);
  }

  private void select(Op.SelectPages op, Layer layer) {
    KvView view = lab.inputs().view(0, lab.program().kv().groupOf(op.layer()));
    copyNew(op.layer(), view, layer);
    int n = layer.heads[0].length();
    boolean oracle = method instanceof OfBaseline b && b.baseline() == Baseline.ORACLE;
    if (audited || method instanceof OfBaseline) {
      lab.executable().read(op.query(), 0, layer.query, 0);
    }
    if (audited || oracle) {
      weigh(op, layer, n);
    }
    if (audited && isDense()) {
      for (int h = 0; h < op.heads(); h++) {
        layer.audits[h].addWeights(layer.weights, h * layer.stride, n);
      }
    }
    if (method instanceof OfBaseline baseline) {
      choose(baseline, op, layer, view);
    }
  }

  private void copyNew(int index, KvView view, Layer layer) {
    KvSpec.Layer kv = layer.layer.kv();
    int last = view.size() - 1;
    int n = view.firstPosition(last) + view.length(last);
    float[] key = new float[kv.keySize()];
    float[] value = new float[kv.valueSize()];
    for (int h = 0; h < layer.heads.length; h++) {
      for (int t = layer.heads[h].length(); t < n; t++) {
        int page = view.page(t / PAGE_TOKENS);
        lab.storage().readKey(index, page, t % PAGE_TOKENS, h, key, 0);
        lab.storage().readValue(index, page, t % PAGE_TOKENS, h, value, 0);
        layer.heads[h].append(key, value);
      }
    }
  }

  private static void weigh(Op.SelectPages op, Layer layer, int n) {
    int shared = layer.layer.shared();
    if (layer.stride < n) {
      layer.stride = n + n / 4;
      layer.weights = new float[op.heads() * layer.stride];
    }
    int keySize = layer.layer.kv().keySize();
    for (int kvHead = 0; kvHead < layer.heads.length; kvHead++) {
      float[] scores = new float[shared * layer.stride];
      layer.heads[kvHead].scores(
          layer.query, kvHead * shared * keySize, shared, op.scale(), scores, layer.stride);
      System.arraycopy(scores, 0, layer.weights, kvHead * shared * layer.stride, scores.length);
    }
    for (int h = 0; h < op.heads(); h++) {
      softmax(layer.weights, h * layer.stride, n, op.softCap());
    }
  }

  private static void softmax(float[] x, int from, int count, float softCap) {
    double max = Double.NEGATIVE_INFINITY;
    for (int t = from; t < from + count; t++) {
      if (softCap != 0) {
        x[t] = (float) (softCap * Math.tanh(x[t] / softCap));
      }
      max = Math.max(max, x[t]);
    }
    double sum = 0;
    for (int t = from; t < from + count; t++) {
      double e = Math.exp(x[t] - max);
      x[t] = (float) e;
      sum += e;
    }
    for (int t = from; t < from + count; t++) {
      x[t] = (float) (x[t] / sum);
    }
  }

  private void choose(OfBaseline wanted, Op.SelectPages op, Layer layer, KvView view) {
    PageSelection selection = lab.executable().pages(op.out());
    selection.clear();
    int shared = layer.layer.shared();
    long tokenBytes = layer.layer.tokenBytes() / layer.heads.length;
    for (int kvHead = 0; kvHead < layer.heads.length; kvHead++) {
      MirroredHead head = layer.heads[kvHead];
      PageSelection.Slice slice = selection.add(0, 1, kvHead * shared, shared, view);
      long ranking = wanted.baseline().rankingBytes(head.pages(), head.keySize());
      double allowed = wanted.share() * head.length() * tokenBytes - ranking;
      wanted
          .baseline()
          .choose(
              new Baseline.Choice(
                  head,
                  layer.query,
                  kvHead * shared * head.keySize(),
                  shared,
                  layer.weights,
                  kvHead * shared * layer.stride,
                  layer.stride),
              (long) (allowed / tokenBytes),
              seed * 31 + op.layer() * 1009L + kvHead,
              slice);
      bytes += ranking + tokenBytes * count(slice.fine(), slice.entries());
    }
  }

  private static long count(char[] masks, int entries) {
    long count = 0;
    for (int e = 0; e < entries; e++) {
      count += Integer.bitCount(masks[e]);
    }
    return count;
  }

  private void examine(Op.Attention op, PageSelection selection, Layer layer) {
    lab.executable().read(op.out(), 0, layer.out, 0);
    int valueSize = layer.layer.kv().valueSize();
    int n = layer.heads[0].length();
    for (int h = 0; h < op.heads(); h++) {
      MirroredHead head = layer.heads[h / layer.layer.shared()];
      double[] exact = head.weigh(layer.weights, h * layer.stride);
      double square = 0;
      for (int c = 0; c < valueSize; c++) {
        double d = exact[c] - layer.out[h * valueSize + c];
        square += d * d;
      }
      double diameter = head.diameter();
      double error = diameter == 0 ? 0 : Math.sqrt(square) / diameter;
      double mass = 1;
      double kept = 1;
      double bound = 0;
      PageSelection.Slice slice = sliceOf(selection, h);
      if (slice != null) {
        mass = 0;
        kept = 0;
        for (int t = 0; t < n; t++) {
          int both = slice.fine()[t / PAGE_TOKENS] | slice.coarse()[t / PAGE_TOKENS];
          if ((both >> (t % PAGE_TOKENS) & 1) != 0) {
            mass += layer.weights[h * layer.stride + t];
            kept++;
          }
        }
        kept /= n;
        bound = slice.bound()[h - slice.firstHead()];
      }
      boolean promised = slice != null && bound > 0;
      layer.audits[h].add(mass, kept, error, bound, promised);
      if (promised) {
        offer(new BoundPoint(bound, error));
      }
    }
  }

  /** Keeps points evenly from the whole run: once there are too many, every second one goes. */
  private void offer(BoundPoint point) {
    if (offered++ % pointStride == 0) {
      points.add(point);
    }
    if (points.size() > MOST_POINTS) {
      for (int i = points.size() - 1; i > 0; i -= 2) {
        points.remove(i);
      }
      pointStride *= 2;
    }
  }

  private static PageSelection.@Nullable Slice sliceOf(PageSelection selection, int head) {
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      if (slice.firstRow() == 0
          && slice.firstHead() <= head
          && head < slice.firstHead() + slice.heads()) {
        return slice;
      }
    }
    return null;
  }
}
