package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.testing.AttentionScene.Entry;
import dev.jacquard.kernels.testing.AttentionScene.Pair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Scenes to compare backends with: odd sizes, partly filled pages, pins, gaps of positions. */
public final class Scenes {
  private static final int[] FILL = {16, 5, 16, 1, 11, 16, 3};

  /** How the tokens of a hard scene are made. */
  private enum Kind {
    RANDOM,
    NEEDLE,
    EQUAL_LOGITS,
    HUGE_KEYS,
    HUGE_VALUES,
    DUPLICATES,
    NO_VALUES,
    DOMINANT,
    SINGLE_TOKEN_PAGES,
    DISTANT_VALUES,
    CAPPED
  }

  private Scenes() {}

  /** Steps of one row for several sequences, of class DENSE. */
  public static List<AttentionScene> rows() {
    return List.of(
        row("heads of 7, 5:1", new KvSpec.Layer(1, 7, 7, 0), 5, 0),
        row("heads of 12, 6:2", new KvSpec.Layer(2, 12, 12, 0), 6, 0),
        row("heads of 20 and 36, cap, 8:2", new KvSpec.Layer(2, 20, 36, 0), 8, 5),
        row("heads of 64, 8:1", new KvSpec.Layer(1, 64, 64, 0), 8, 0),
        row("heads of 32, 3:3", new KvSpec.Layer(3, 32, 32, 0), 3, 0),
        row("heads of 40 and 24, 2:1", new KvSpec.Layer(1, 40, 24, 0), 2, 0),
        row("heads of 16, 7:1", new KvSpec.Layer(1, 16, 16, 0), 7, 0),
        row("heads of 96, cap, 6:2", new KvSpec.Layer(2, 96, 96, 0), 6, 20));
  }

  private static AttentionScene row(String name, KvSpec.Layer layer, int heads, float cap) {
    Random random = new Random(name.hashCode());
    List<Entry> shared = new ArrayList<>();
    shared.add(new Entry(0, 5, false));
    shared.add(new Entry(5, 16, false));
    for (int i = 0; i < 40; i++) {
      shared.add(new Entry(500 + 20 * i, FILL[i % FILL.length], i % 9 == 4));
    }
    List<Entry> own = List.of(new Entry(5000, 16, false), new Entry(5200, 7, false));
    return new Build(random, layer, heads, shared, own).scene(name, cap, 3, 1, 2, Exactness.DENSE);
  }

  /** Prompts that lie partly behind position 8192, of class DENSE. */
  public static List<AttentionScene> prompts() {
    return List.of(
        prompt("prompt, heads of 12, 6:2", new KvSpec.Layer(2, 12, 12, 0), 6, 0),
        prompt("prompt, heads of 7, cap, 5:1", new KvSpec.Layer(1, 7, 7, 0), 5, 5),
        prompt("prompt, heads of 64, 2:1", new KvSpec.Layer(1, 64, 64, 0), 2, 0));
  }

  private static AttentionScene prompt(String name, KvSpec.Layer layer, int heads, float cap) {
    Random random = new Random(name.hashCode());
    List<Entry> shared = new ArrayList<>();
    shared.add(new Entry(0, 3, false));
    for (int i = 0; i < 50; i++) {
      shared.add(new Entry(100 + 100 * i, FILL[i % FILL.length], i % 20 == 7));
    }
    List<Entry> own = new ArrayList<>();
    for (int position = 7200, i = 0; position < 8340; i++) {
      int length = FILL[i % FILL.length];
      own.add(new Entry(position, length, false));
      position += position < 8140 ? 30 : length;
    }
    int rows = own.stream().filter(e -> e.firstPosition() > 8150).mapToInt(Entry::length).sum();
    return new Build(random, layer, heads, shared, own)
        .scene(name, cap, 1, rows, 2, Exactness.DENSE);
  }

  /**
   * A step that a certificate might fail on: needles, equal logits, huge norms, duplicates, values
   * of zero, one dominant token, pages of one token, values that are all far from zero.
   *
   * @param sequences rows with queries of their own over almost the same tokens
   */
  public static AttentionScene hard(long seed, int sequences) {
    Random random = new Random(seed * 0x9E3779B97F4A7C15L + 1);
    Kind kind = Kind.values()[(int) (seed % Kind.values().length)];
    int kvHeads = 1 + random.nextInt(2);
    int heads = kvHeads * (1 + random.nextInt(8));
    int keySize = 8 << random.nextInt(3);
    int valueSize = random.nextInt(8) == 0 ? 1 + random.nextInt(64) : keySize;
    KvSpec.Layer layer = new KvSpec.Layer(kvHeads, keySize, valueSize, 0);
    List<Entry> shared = new ArrayList<>();
    if (random.nextBoolean()) {
      shared.add(new Entry(0, 1 + random.nextInt(3), false));
    }
    int left = 8 + random.nextInt(32);
    for (int position = 100; left > 0; position += 20) {
      int length = kind == Kind.SINGLE_TOKEN_PAGES ? 1 : Math.min(left, 1 + random.nextInt(16));
      shared.add(new Entry(position, length, random.nextInt(20) == 0));
      left -= length;
    }
    Build build = new Build(random, layer, heads, shared, List.of(new Entry(5000, 1, false)));
    build.kind = kind;
    double temperature = Math.exp(random.nextDouble(-2, 3));
    float cap = kind == Kind.CAPPED ? 5 : 0;
    return build.scene(kind + " " + seed, cap, sequences, 1, temperature, Exactness.DENSE);
  }

  /** A step over random tokens whose sketches are as good as such sketches are. */
  public static AttentionScene sampled(long seed, int sequences) {
    Random random = new Random(seed * 0x9E3779B97F4A7C15L + 2);
    int size = 8 << random.nextInt(3);
    KvSpec.Layer layer = new KvSpec.Layer(1, size, size, 0);
    List<Entry> shared = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      shared.add(new Entry(100 + 20 * i, 1 + random.nextInt(16), false));
    }
    return new Build(random, layer, 2, shared, List.of(new Entry(5000, 1, false)))
        .scene("sampled " + seed, 0, sequences, 1, random.nextDouble(0.5, 2), Exactness.DENSE);
  }

  /** The parts of a scene that do not depend on one another. */
  private static final class Build {
    private final Random random;
    private final KvSpec.Layer layer;
    private final int heads;
    private final List<Entry> shared;
    private final List<Entry> own;
    private Kind kind = Kind.RANDOM;

    Build(Random random, KvSpec.Layer layer, int heads, List<Entry> shared, List<Entry> own) {
      this.random = random;
      this.layer = layer;
      this.heads = heads;
      this.shared = shared;
      this.own = own;
    }

    private static int tokens(List<Entry> entries) {
      return entries.stream().mapToInt(Entry::length).sum();
    }

    AttentionScene scene(
        String name, float cap, int sequences, int rows, double temperature, Exactness exactness) {
      List<Pair> sharedTokens = pairs(tokens(shared));
      List<List<Pair>> ownTokens = new ArrayList<>();
      List<List<float[]>> queries = new ArrayList<>();
      for (int s = 0; s < sequences; s++) {
        ownTokens.add(pairs(tokens(own)));
        List<float[]> ofSequence = new ArrayList<>();
        for (int r = 0; r < rows; r++) {
          ofSequence.add(query(sharedTokens, temperature));
        }
        queries.add(ofSequence);
      }
      return new AttentionScene(
          name,
          layer,
          heads,
          cap,
          shared,
          own,
          SketchBases.of(layer, name.hashCode()),
          Collections.nCopies(sequences, exactness),
          sharedTokens,
          ownTokens,
          queries);
    }

    private float[] normal(int size, double factor) {
      float[] x = new float[size];
      for (int i = 0; i < size; i++) {
        x[i] = (float) (factor * random.nextGaussian());
      }
      return x;
    }

    private List<Pair> pairs(int count) {
      List<Pair> pairs = new ArrayList<>();
      float[] offset = normal(layer.heads() * layer.valueSize(), 1000);
      double huge = Math.exp(random.nextDouble(2, 12));
      for (int i = 0; i < count; i++) {
        float[] key = normal(layer.heads() * layer.keySize(), 1);
        float[] value = normal(layer.heads() * layer.valueSize(), 1);
        switch (kind) {
          case RANDOM, NEEDLE, SINGLE_TOKEN_PAGES, CAPPED, DOMINANT -> {}
          case EQUAL_LOGITS -> key = pairs.isEmpty() ? key : pairs.getFirst().key();
          case HUGE_KEYS -> scale(key, huge);
          case HUGE_VALUES -> scale(value, huge * (i % 3 == 0 ? 1 : 1e-3));
          case DUPLICATES -> {
            if (i > 3) {
              key = pairs.get(i % 3).key();
              value = pairs.get(i % 4).value();
            }
          }
          case NO_VALUES -> scale(value, i % 5 == 0 && random.nextBoolean() ? 1 : 0);
          case DISTANT_VALUES -> {
            for (int c = 0; c < value.length; c++) {
              value[c] += offset[c];
            }
          }
        }
        pairs.add(new Pair(key, value));
      }
      return pairs;
    }

    private static void scale(float[] x, double factor) {
      for (int i = 0; i < x.length; i++) {
        x[i] *= (float) factor;
      }
    }

    /** Heads ask differently: some sharply, some for everything alike. */
    private float[] query(List<Pair> tokens, double temperature) {
      float[] query = new float[heads * layer.keySize()];
      for (int h = 0; h < heads; h++) {
        float[] one = normal(layer.keySize(), temperature * Math.exp(random.nextDouble(-2, 0)));
        if (kind == Kind.NEEDLE || kind == Kind.DOMINANT) {
          int kvHead = h / (heads / layer.heads());
          float[] key = tokens.get(random.nextInt(tokens.size())).key();
          one = Arrays.copyOfRange(key, kvHead * layer.keySize(), (kvHead + 1) * layer.keySize());
          scale(one, kind == Kind.NEEDLE ? temperature : 100);
        }
        System.arraycopy(one, 0, query, h * one.length, one.length);
      }
      return query;
    }
  }
}
