package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.testing.AttentionScene.Entry;
import dev.jacquard.kernels.testing.AttentionScene.Pair;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.format.F32;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A scene on a backend: fills the cache, and runs the step as often as wanted. */
public final class SceneRun implements AutoCloseable {
  /** The layer of the scene; another one lies before it in the pages. */
  public static final int LAYER = 1;

  private static final KvSpec.Layer OTHER = new KvSpec.Layer(1, 4, 8, 0);
  private static final PageList LIST = new PageList("pages");

  private final AttentionScene scene;
  private final StepInputs inputs;
  private final KvStorage kv;
  private final Executable executable;
  private final Slot out;

  /** Fills a cache; the keys of the shared entries are sketched after they were written. */
  public SceneRun(AttentionScene scene, Backend backend) {
    this.scene = scene;
    KvSpec spec = new KvSpec(List.of(OTHER, scene.layer()));
    out = slot("out", scene.heads() * scene.layer().valueSize());
    int rows = scene.sequences() * scene.rows();
    inputs = new StepInputs(rows, 1);
    executable = backend.compile(program(spec), CompileOptions.of(rows, 1));
    kv = backend.allocateKv(spec, KvFormat.Q8);
    kv.grow(0, scene.shared().size() + scene.sequences() * scene.own().size());
    fill(scene.shared(), scene.sharedTokens(), 0, 0);
    if (!scene.bases().isEmpty()) {
      kv.sketch(LAYER, scene.bases());
    }
    for (int s = 0; s < scene.sequences(); s++) {
      fill(scene.own(), scene.ownTokens().get(s), firstOwnPage(s), scene.rows());
      enter(s);
    }
  }

  private static Slot slot(String name, int width) {
    return new Slot(name, width, Slot.Domain.ALL);
  }

  private int firstOwnPage(int sequence) {
    return scene.shared().size() + sequence * scene.own().size();
  }

  private Program program(KvSpec spec) {
    KvSpec.Layer layer = scene.layer();
    Slot q = slot("q", scene.heads() * layer.keySize());
    Slot k = slot("k", layer.heads() * layer.keySize());
    Slot v = slot("v", layer.heads() * layer.valueSize());
    List<float[]> queries = new ArrayList<>();
    List<float[]> keys = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (int s = 0; s < scene.sequences(); s++) {
      queries.addAll(scene.queries().get(s));
      List<Pair> tokens = scene.ownTokens().get(s);
      for (Pair token : tokens.subList(tokens.size() - scene.rows(), tokens.size())) {
        keys.add(token.key());
        values.add(token.value());
      }
    }
    float scale = scene.scale();
    float cap = scene.softCap();
    return new Program(
        List.of(
            rows(q, queries),
            rows(k, keys),
            rows(v, values),
            new Op.WriteKv(LAYER, k, v),
            new Op.SelectPages(LAYER, q, scene.heads(), scale, cap, LIST),
            new Op.Attention(LAYER, q, out, scene.heads(), scale, 0, cap, LIST)),
        spec,
        out);
  }

  private static Op.Embed rows(Slot slot, List<float[]> rows) {
    float[] all = new float[rows.size() * slot.width()];
    for (int r = 0; r < rows.size(); r++) {
      System.arraycopy(rows.get(r), 0, all, r * slot.width(), slot.width());
    }
    Shape shape = Shape.of(slot.width(), rows.size());
    return new Op.Embed(new Weight(slot.name(), OpCases.tensor(F32.INSTANCE, shape, all)), 1, slot);
  }

  /** Writes the tokens of some entries, except for the last {@code rows}. */
  private void fill(List<Entry> entries, List<Pair> tokens, int firstPage, int rows) {
    int next = 0;
    for (int e = 0; e < entries.size(); e++) {
      int count = 0;
      for (; count < entries.get(e).length() && next < tokens.size() - rows; count++, next++) {
        Pair token = tokens.get(next);
        kv.write(LAYER, firstPage + e, count, token.key(), 0, token.value(), 0);
      }
      kv.summarise(0, firstPage + e, count);
    }
  }

  private void enter(int s) {
    int sequence = inputs.addSequence();
    inputs.setExactness(sequence, scene.exactness().get(s));
    KvView view = inputs.view(sequence, 0);
    for (int e = 0; e < scene.shared().size(); e++) {
      Entry entry = scene.shared().get(e);
      view.add(e, entry.firstPosition(), entry.length(), entry.pinned());
    }
    int skipped = scene.ownTokens().get(s).size() - scene.rows();
    for (int e = 0; e < scene.own().size(); e++) {
      Entry entry = scene.own().get(e);
      view.add(firstOwnPage(s) + e, entry.firstPosition(), entry.length(), entry.pinned());
      for (int t = 0; t < entry.length(); t++) {
        if (skipped > 0) {
          skipped--;
        } else {
          int row = inputs.addRow(sequence, entry.firstPosition() + t, inputs.rows(), false);
          inputs.setWrite(0, row, firstOwnPage(s) + e, t);
        }
      }
    }
  }

  /** Runs the step. */
  public SceneRun run() {
    executable.run(inputs, kv, null);
    return this;
  }

  /** Runs the step with what {@code other} chose in its last run instead of an own choice. */
  public SceneRun runAs(SceneRun other) {
    executable.run(
        inputs,
        kv,
        (index, op) -> {
          if (op instanceof Op.SelectPages) {
            copy(other.selection(), selection());
          }
        });
    return this;
  }

  private void copy(PageSelection from, PageSelection to) {
    to.clear();
    for (int i = 0; i < from.size(); i++) {
      PageSelection.Slice a = from.slice(i);
      KvView view = inputs.view(inputs.sequence(a.firstRow()), 0);
      PageSelection.Slice b = to.add(a.firstRow(), a.rows(), a.firstHead(), a.heads(), view);
      int entries = a.entries();
      System.arraycopy(a.fine(), 0, b.fine(), 0, entries);
      System.arraycopy(a.coarse(), 0, b.coarse(), 0, entries);
      System.arraycopy(a.farLog(), 0, b.farLog(), 0, a.heads());
      System.arraycopy(a.bound(), 0, b.bound(), 0, a.heads());
      if (a.hasFar()) {
        System.arraycopy(a.far(), 0, b.openFar(), 0, a.heads() * entries);
      }
      float @Nullable [] scores = a.scores();
      if (scores != null) {
        b.setScores(scores.clone(), a.scoreStride());
      }
      if (a.samples() > 0) {
        int count = a.heads() * a.samples();
        b.openSamples(a.samples());
        System.arraycopy(a.sampleToken(), 0, b.sampleToken(), 0, count);
        System.arraycopy(a.sampleLog(), 0, b.sampleLog(), 0, count);
        System.arraycopy(a.sampledLog(), 0, b.sampledLog(), 0, a.heads());
      }
    }
  }

  /** What the last step chose. */
  public PageSelection selection() {
    return executable.pages(LIST);
  }

  /** What the last step read for a row of a sequence. */
  public AttentionReport.Row report(int sequence, int row) {
    return executable.attention().row(sequence * scene.rows() + row);
  }

  /** The output of a row of a sequence, {@code [heads · valueSize]}. */
  public float[] output(int sequence, int row) {
    float[] values = new float[out.width()];
    executable.read(out, sequence * scene.rows() + row, values, 0);
    return values;
  }

  /** One head's part of it. */
  public double[] output(int sequence, int row, int head) {
    float[] all = output(sequence, row);
    int size = scene.layer().valueSize();
    double[] part = new double[size];
    Arrays.setAll(part, i -> all[head * size + i]);
    return part;
  }

  /** The slice that says what a row's head reads, or null. */
  public PageSelection.@Nullable Slice slice(int sequence, int row, int head) {
    int at = sequence * scene.rows() + row;
    PageSelection selection = selection();
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      if (at >= slice.firstRow()
          && at < slice.firstRow() + slice.rows()
          && head >= slice.firstHead()
          && head < slice.firstHead() + slice.heads()) {
        return slice;
      }
    }
    return null;
  }

  /** The cache. */
  public KvStorage kv() {
    return kv;
  }

  /** The page of an entry of a sequence. */
  public int page(int sequence, int entry) {
    return inputs.view(sequence, 0).page(entry);
  }

  @Override
  public void close() {
    executable.close();
    kv.close();
  }
}
