package dev.jacquard.kernels.testing;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.testing.AttentionScene.Entry;
import dev.jacquard.kernels.testing.AttentionScene.Pair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;

/** What a sequence of a scene should see in one key/value head, computed from its numbers. */
public final class SceneTruth {
  /** A visible token. */
  record Seen(int entry, int offset, int position, NaiveQuantization.Token token) {
    int place() {
      return PAGE_TOKENS * entry + offset;
    }
  }

  private final AttentionScene scene;
  private final int kvHead;
  private final List<Entry> entries;
  private final List<Seen> tokens = new ArrayList<>();
  private final List<NaiveQuantization.Page> pages = new ArrayList<>();
  private final IdentityHashMap<Seen, double[]> sketches = new IdentityHashMap<>();

  private final double diameter;

  private SceneTruth(AttentionScene scene, int kvHead, double diameter) {
    this.diameter = diameter;
    this.scene = scene;
    this.kvHead = kvHead;
    this.entries = scene.entries();
  }

  /** One for each sequence; what they share is rounded once. */
  public static List<SceneTruth> of(AttentionScene scene, int kvHead) {
    List<NaiveQuantization.Token> shared = round(scene, kvHead, scene.sharedTokens());
    double sharedDiameter = diameter(shared, 0);
    List<SceneTruth> all = new ArrayList<>();
    for (int s = 0; s < scene.sequences(); s++) {
      List<NaiveQuantization.Token> tokens = new ArrayList<>(shared);
      tokens.addAll(round(scene, kvHead, scene.ownTokens().get(s)));
      double diameter = Math.max(sharedDiameter, diameter(tokens, shared.size()));
      SceneTruth truth = new SceneTruth(scene, kvHead, diameter);
      int next = 0;
      for (int e = 0; e < truth.entries.size(); e++) {
        Entry entry = truth.entries.get(e);
        for (int t = 0; t < entry.length(); t++) {
          truth.tokens.add(new Seen(e, t, entry.firstPosition() + t, tokens.get(next + t)));
        }
        truth.pages.add(
            s > 0 && e < scene.shared().size()
                ? all.getFirst().pages.get(e)
                : NaiveQuantization.Page.of(tokens.subList(next, next + entry.length())));
        next += entry.length();
      }
      all.add(truth);
    }
    return all;
  }

  private static List<NaiveQuantization.Token> round(
      AttentionScene scene, int kvHead, List<Pair> pairs) {
    int keySize = scene.layer().keySize();
    int size = scene.layer().valueSize();
    return pairs.stream()
        .map(
            pair ->
                NaiveQuantization.Token.of(
                    pair.key(), kvHead * keySize, keySize, pair.value(), kvHead * size, size))
        .toList();
  }

  /** All tokens of the sequence, by position. */
  List<Seen> tokens() {
    return tokens;
  }

  /** What the page of an entry says. */
  NaiveQuantization.Page page(int entry) {
    return pages.get(entry);
  }

  /** The query of a head. */
  double[] query(int sequence, int row, int head) {
    float[] all = scene.queries().get(sequence).get(row);
    int size = scene.layer().keySize();
    double[] query = new double[size];
    for (int i = 0; i < size; i++) {
      query[i] = all[head * size + i];
    }
    return query;
  }

  private double cap(double product) {
    double score = product * scene.scale();
    return scene.softCap() == 0 ? score : scene.softCap() * Math.tanh(score / scene.softCap());
  }

  /** The exact score of a token. */
  double score(double[] query, Seen seen) {
    double sum = 0;
    for (int i = 0; i < query.length; i++) {
      sum += query[i] * seen.token.key()[i];
    }
    return cap(sum);
  }

  /** The score of a token by its sketch. */
  double sketchScore(double[] query, Seen seen) {
    double[] sketch =
        sketches.computeIfAbsent(
            seen, s -> NaiveQuantization.sketch(s.token.key(), scene.bases().get(kvHead)));
    return cap(NaiveQuantization.product(query, sketch, scene.bases().get(kvHead)));
  }

  /**
   * Half the variance of the error that sketches make of the forced tokens' scores, by which the
   * scores of the others are raised.
   */
  double raise(double[] query, int position) {
    double[] errors =
        tokens.stream()
            .filter(t -> t.position() <= position && forced(t, position))
            .mapToDouble(t -> score(query, t) - sketchScore(query, t))
            .toArray();
    double mean = Arrays.stream(errors).average().orElseThrow();
    return Arrays.stream(errors).map(e -> (e - mean) * (e - mean)).average().orElseThrow() / 2;
  }

  /** Whether a token is read in 8 bits by the row at {@code position}, whatever it weighs. */
  boolean forced(Seen seen, int position) {
    return seen.position < 16
        || seen.position > position - 128
        || entries.get(seen.entry).pinned()
        || open(seen.entry, position);
  }

  /** Whether the entry holds the row itself. */
  boolean open(int entry, int position) {
    Entry e = entries.get(entry);
    return position >= e.firstPosition() && position < e.firstPosition() + e.length();
  }

  /** What dense attention gives for the row at {@code position}. */
  double[] dense(double[] query, int position) {
    double[] out = new double[scene.layer().valueSize()];
    double[] scores = new double[tokens.size()];
    double largest = Double.NEGATIVE_INFINITY;
    int count = 0;
    for (; count < scores.length && tokens.get(count).position <= position; count++) {
      scores[count] = score(query, tokens.get(count));
      largest = Math.max(largest, scores[count]);
    }
    double total = 0;
    for (int i = 0; i < count; i++) {
      double weight = Math.exp(scores[i] - largest);
      double[] value = tokens.get(i).token.value();
      for (int c = 0; c < out.length; c++) {
        out[c] += weight * value[c];
      }
      total += weight;
    }
    for (int c = 0; c < out.length; c++) {
      out[c] /= total;
    }
    return out;
  }

  /** The diameter of all values. */
  double diameter() {
    return diameter;
  }

  /** The largest distance between a token from {@code first} on and one before it. */
  private static double diameter(List<NaiveQuantization.Token> tokens, int first) {
    double largest = 0;
    for (int i = first; i < tokens.size(); i++) {
      for (int j = 0; j < i; j++) {
        largest =
            Math.max(
                largest, NaiveQuantization.distance(tokens.get(i).value(), tokens.get(j).value()));
      }
    }
    return largest;
  }

  /**
   * What bounds are relative to, for the row at {@code position}: among the tokens of the four
   * closed pages with the largest spreads, the longest of the ways from the first to the farthest,
   * from there to the farthest, and once more.
   */
  double breadth(int position) {
    List<Integer> closed = new ArrayList<>();
    for (int e = 0; e < entries.size(); e++) {
      if (!open(e, position)) {
        closed.add(e);
      }
    }
    closed.sort(Comparator.comparingDouble(e -> -halfSpread(e)));
    List<Integer> widest = closed.subList(0, Math.min(4, closed.size()));
    List<double[]> candidates =
        widest.stream()
            .flatMap(e -> tokens.stream().filter(t -> t.entry == e).map(t -> t.token.value()))
            .toList();
    double largest = widest.isEmpty() ? 0 : halfSpread(widest.getFirst());
    double[] from = widest.isEmpty() ? new double[0] : candidates.getFirst();
    for (int way = 0; way < 3; way++) {
      double[] start = from;
      from =
          candidates.stream()
              .max(Comparator.comparingDouble(to -> NaiveQuantization.distance(start, to)))
              .orElse(start);
      largest = Math.max(largest, NaiveQuantization.distance(start, from));
    }
    return largest;
  }

  /** The spread as it is stored, by which pages are compared. */
  private double halfSpread(int entry) {
    return Float.float16ToFloat(QuantizedKv.roundDown(pages.get(entry).spread()));
  }
}
