package dev.jacquard.benchmarks;

import dev.jacquard.calibration.Calibration;
import dev.jacquard.calibration.HeadCalibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.SketchBasis;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The heads of a trace as heads of another shape, whose scores are spread as those that were
 * recorded.
 *
 * <p>A key/value head of layer L and number h is recorded head L + h, counted around. Its keys are
 * the leading channels of the recorded keys in the balanced basis of their model, which carry
 * nearly all of the scores' variance ({@link SketchBasis}), its values some of the recorded values'
 * channels. Queries are projected likewise and take up the quotient of the scales. If more query
 * heads share a key/value head than did when it was recorded, these ask what the recorded ones
 * asked at other positions. Sketches are made in a basis of the projected keys themselves.
 */
final class MappedText implements ReplayedText {
  /** A recorded key/value head: its basis, its projected keys, and the basis of these. */
  @SuppressWarnings("ArrayRecordComponent") // private, never compared
  private record Head(
      int layer, int number, SketchBasis recorded, float[] keys, SketchBasis projected) {}

  private final Trace trace;
  private final int length;
  private final List<KvSpec.Layer> shape;
  private final Map<Integer, Op.SelectPages> sites = new HashMap<>();
  private final List<Head> heads = new ArrayList<>();

  /**
   * Projects all keys.
   *
   * @param calibration of the trace's model
   * @param program whose shape the heads get; all its layers have one shape and no window
   * @param length tokens of the text
   */
  MappedText(Trace trace, Calibration calibration, Program program, int length) {
    this.trace = trace;
    this.length = length;
    shape = program.kv().layers();
    for (Op op : program.ops()) {
      if (op instanceof Op.SelectPages site) {
        sites.put(site.layer(), site);
      }
    }
    if (sites.size() != shape.size() || shape.stream().distinct().count() != 1) {
      throw new IllegalArgumentException("layers with windows or of several shapes");
    }
    TraceText text = new TraceText(trace, calibration, length);
    for (int layer = 0; layer < trace.layers().size(); layer++) {
      project(layer, text.bases(layer));
    }
  }

  private void project(int layer, List<SketchBasis> bases) {
    KvSpec.Layer recorded = trace.layers().get(layer).kv();
    int size = shape.getFirst().keySize();
    if (bases.getFirst().channels() < size || recorded.valueSize() < shape.getFirst().valueSize()) {
      throw new IllegalArgumentException("heads of the trace are smaller than heads of " + size);
    }
    float[] key = new float[recorded.heads() * recorded.keySize()];
    for (int number = 0; number < recorded.heads(); number++) {
      SketchBasis basis = bases.get(number);
      float[] keys = new float[Math.multiplyExact(length, size)];
      for (int position = 0; position < length; position++) {
        trace.key(layer, position, length, key);
        int at = number * recorded.keySize();
        for (int c = 0; c < recorded.keySize(); c++) {
          key[at + c] -= basis.mean()[c];
        }
        project(basis.toKey(), size, key, at, basis.size(), 1, keys, position * size);
      }
      HeadCalibration projected = new HeadCalibration(size);
      int rows = length - Trace.SINKS;
      projected.addKeys(keys, Trace.SINKS * size, size, rows);
      // In a balanced basis queries vary as keys do.
      projected.addQueries(keys, Trace.SINKS * size, size, rows);
      heads.add(new Head(layer, number, basis, keys, projected.basis()));
    }
  }

  private static void project(
      float[] matrix,
      int channels,
      float[] from,
      int at,
      int size,
      float factor,
      float[] target,
      int to) {
    for (int c = 0; c < channels; c++) {
      float sum = 0;
      for (int i = 0; i < size; i++) {
        sum += matrix[c * size + i] * from[at + i];
      }
      target[to + c] = factor * sum;
    }
  }

  private Head head(int layer, int number) {
    return heads.get((layer + number) % heads.size());
  }

  @Override
  public int length() {
    return length;
  }

  @Override
  public int queries() {
    return trace.queries();
  }

  @Override
  public void query(int layer, int query, float[] target) {
    Op.SelectPages site = Objects.requireNonNull(sites.get(layer));
    int size = shape.get(layer).keySize();
    int sharing = site.heads() / shape.get(layer).heads();
    for (int h = 0; h < site.heads(); h++) {
      Head head = head(layer, h / sharing);
      Trace.Layer recorded = trace.layers().get(head.layer());
      int group = recorded.heads() / recorded.kv().heads();
      int turns = (sharing + group - 1) / group;
      int asked = query + h % sharing / group * (queries() / turns);
      float[] queries = new float[recorded.heads() * recorded.kv().keySize()];
      trace.query(head.layer(), asked % queries(), length, queries);
      int at = (head.number() * group + h % sharing % group) * recorded.kv().keySize();
      float factor = recorded.scale() / site.scale();
      SketchBasis basis = head.recorded();
      project(basis.toQuery(), size, queries, at, basis.size(), factor, target, h * size);
    }
  }

  @Override
  public void cached(int layer, int position, float[] keys, float[] values) {
    KvSpec.Layer l = shape.get(layer);
    for (int h = 0; h < l.heads(); h++) {
      Head head = head(layer, h);
      System.arraycopy(head.keys(), position * l.keySize(), keys, h * l.keySize(), l.keySize());
      KvSpec.Layer recorded = trace.layers().get(head.layer()).kv();
      float[] value = new float[recorded.heads() * recorded.valueSize()];
      trace.value(head.layer(), position, length, value);
      int part = h % (recorded.valueSize() / l.valueSize()) * l.valueSize();
      System.arraycopy(
          value,
          head.number() * recorded.valueSize() + part,
          values,
          h * l.valueSize(),
          l.valueSize());
    }
  }

  @Override
  public List<SketchBasis> bases(int layer) {
    List<SketchBasis> bases = new ArrayList<>();
    for (int h = 0; h < shape.get(layer).heads(); h++) {
      bases.add(head(layer, h).projected());
    }
    return bases;
  }
}
