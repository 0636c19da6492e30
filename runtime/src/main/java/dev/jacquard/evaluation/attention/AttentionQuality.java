package dev.jacquard.evaluation.attention;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.evaluation.attention.AttentionMethod.OfBaseline;
import dev.jacquard.evaluation.attention.AttentionMethod.OfClass;
import dev.jacquard.evaluation.attention.AttentionMethod.OfPrompt;
import dev.jacquard.evaluation.attention.AttentionResults.OfHead;
import dev.jacquard.evaluation.attention.AttentionResults.OfLength;
import dev.jacquard.evaluation.attention.AttentionResults.OfMethod;
import dev.jacquard.evaluation.attention.AttentionResults.Sparsity;
import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import java.util.ArrayList;
import java.util.List;

/**
 * Compares methods on a text: a dense prefill that all share, then the last tokens one by one, each
 * method on a fork of its own; but coverages of prompts have a prefill of their own.
 */
public final class AttentionQuality {
  /**
   * What is measured.
   *
   * @param last tokens that are decoded one by one
   * @param classes besides DENSE
   * @param prompts coverages of prompts, of a prefill of its own each, above 0 and below 1
   * @param baselines each measured at the bytes of every {@link Exactness.Budgeted} class, and at
   *     {@code shares}
   * @param shares further shares of the bytes for the baselines
   * @param examineEvery of how many steps one is examined head by head
   * @param greedy tokens of the greedy continuation by which classes are compared; 0 for none
   */
  public record Settings(
      int last,
      List<Exactness> classes,
      List<Double> prompts,
      List<Baseline> baselines,
      List<Double> shares,
      int examineEvery,
      int greedy) {
    /** Copies and checks. */
    public Settings {
      classes = List.copyOf(classes);
      prompts = List.copyOf(prompts);
      baselines = List.copyOf(baselines);
      shares = List.copyOf(shares);
      if (last < 1 || examineEvery < 1 || greedy < 0) {
        throw new IllegalArgumentException(
            "last %d, one examined of %d, greedy %d".formatted(last, examineEvery, greedy));
      }
    }
  }

  /** Is told what is going on. */
  @FunctionalInterface
  public interface Progress {
    /** {@code share} of {@code what} is done; on the calling thread. */
    void at(String what, double share);
  }

  private final AttentionLab lab;
  private final Settings settings;
  private final Progress progress;
  private final StepExaminer examiner;

  /** Measures with {@code lab}. */
  public AttentionQuality(AttentionLab lab, Settings settings, Progress progress) {
    this.lab = lab;
    this.settings = settings;
    this.progress = progress;
    examiner = new StepExaminer(lab);
  }

  /** Bytes of heap that a measurement takes: copies of keys and values, and DENSE's logits. */
  public static long heapBytes(AttentionLab lab, int tokens, int last) {
    long perToken =
        lab.layers().stream()
            .mapToLong(l -> (long) l.kv().heads() * (l.kv().keySize() + l.kv().valueSize()))
            .sum();
    return Float.BYTES
        * (perToken * (tokens + 2048L) * 5 / 4 + (long) (last + 4) * lab.vocabulary());
  }

  /**
   * Measures a text at several lengths, shortest first, with one prefill for all.
   *
   * @param text at least as long as the longest
   * @param lengths ascending, each above {@code last}
   */
  public List<OfLength> measure(int[] text, int[] lengths) {
    List<OfLength> results = new ArrayList<>();
    try (KvSequence prefix = lab.newSequence()) {
      for (int n : lengths) {
        if (n <= settings.last || n > text.length || n - settings.last < prefix.length()) {
          throw new IllegalArgumentException(
              "cannot decode the last %d of %d tokens: the text has %d, %d are cached"
                  .formatted(settings.last, n, text.length, prefix.length()));
        }
        examiner.begin(new OfClass(Exactness.DENSE), prefix.length()); // forgets what forks added
        lab.prefill(
            prefix, text, n - settings.last, share -> progress.at("prefill to " + n, share));
        results.add(measure(prefix, text, n));
      }
    }
    return results;
  }

  private OfLength measure(KvSequence prefix, int[] text, int n) {
    float[][] dense = new float[settings.last][];
    List<OfMethod> methods = new ArrayList<>();
    methods.add(run(prefix, text, n, new OfClass(Exactness.DENSE), dense));
    List<Sparsity> sparsity = sparsity();
    List<Double> shares = new ArrayList<>(settings.shares);
    int[] greedy = greedy(prefix, text[prefix.length()]);
    for (Exactness exactness : settings.classes) {
      OfMethod result = run(prefix, text, n, new OfClass(exactness), dense);
      methods.add(withDivergence(result, divergence(prefix, text, exactness, greedy)));
      if (exactness instanceof Exactness.Budgeted && result.bytes() < 1) {
        shares.add(result.bytes());
      }
    }
    for (double coverage : settings.prompts) {
      methods.add(prompt(prefix.length(), text, n, new OfPrompt(coverage), dense));
    }
    shares.sort(null);
    for (Baseline baseline : settings.baselines) {
      for (double share : shares) {
        methods.add(run(prefix, text, n, new OfBaseline(baseline, share), dense));
      }
    }
    return new OfLength(n, settings.last, sparsity, methods);
  }

  private OfMethod run(
      KvSequence prefix, int[] text, int n, AttentionMethod method, float[][] dense) {
    int first = prefix.length();
    LogitComparison comparison = new LogitComparison(settings.last);
    examiner.begin(method, first);
    double read = 0;
    double readDense = 0;
    long escalated = 0;
    float[] logits = new float[lab.vocabulary()];
    long started = System.nanoTime();
    try (KvSequence sequence = prefix.fork()) {
      for (int i = 0; i < settings.last; i++) {
        int position = first + i;
        progress.at(n + " tokens, " + method.name(), (i + 1.0) / settings.last);
        examiner.step(i % settings.examineEvery == 0, position);
        AttentionReport.Row row =
            lab.decode(sequence, text[position], method.exactness(), examiner, logits);
        long all = lab.denseBytes(position);
        readDense += all;
        read +=
            method instanceof OfBaseline
                ? examiner.baselineBytes()
                : row.bytesRead() - (row.bytesDense() - all);
        escalated += row.escalated();
        if (dense[i] == null) {
          dense[i] = logits.clone();
          comparison.add(dense[i], dense[i], next(text, position));
        } else {
          comparison.add(dense[i], logits, next(text, position));
        }
      }
    }
    double seconds = (System.nanoTime() - started) * 1e-9 / settings.last;
    return result(method, read / readDense, comparison, escalated, seconds);
  }

  /** Reads the text before the last tokens anew, and decodes these with DENSE. */
  private OfMethod prompt(int first, int[] text, int n, OfPrompt method, float[][] dense) {
    LogitComparison comparison = new LogitComparison(settings.last);
    examiner.begin(method, first);
    float[] logits = new float[lab.vocabulary()];
    try (KvSequence sequence = lab.newSequence()) {
      long started = System.nanoTime();
      double bytes =
          lab.prefill(
              sequence,
              text,
              first,
              method.ofPrompt(),
              share -> progress.at(n + " tokens, " + method.name(), share));
      double seconds = (System.nanoTime() - started) * 1e-9 / first;
      for (int i = 0; i < settings.last; i++) {
        int position = first + i;
        lab.decode(sequence, text[position], method.exactness(), null, logits);
        comparison.add(dense[i], logits, next(text, position));
      }
      return result(method, bytes, comparison, 0, seconds);
    }
  }

  private static int next(int[] text, int position) {
    return position + 1 < text.length ? text[position + 1] : -1;
  }

  private OfMethod result(
      AttentionMethod method,
      double bytes,
      LogitComparison comparison,
      long escalated,
      double seconds) {
    boolean isDense = method.exactness() instanceof Exactness.Dense;
    List<OfHead> heads = new ArrayList<>();
    double mass = 0;
    double error = 0;
    double worstError = 0;
    double bound = 0;
    double worstBound = 0;
    int examined = 0;
    int violations = 0;
    for (GlobalLayer layer : lab.layers()) {
      for (int h = 0; h < layer.select().heads() && !isDense; h++) {
        HeadAudit audit = examiner.audit(layer.index(), h);
        heads.add(
            new OfHead(
                layer.index(),
                h,
                audit.meanMass(),
                audit.meanKept(),
                audit.meanError(),
                audit.worstError()));
        mass += audit.meanMass() * audit.steps();
        error += audit.meanError() * audit.steps();
        worstError = Math.max(worstError, audit.worstError());
        bound += audit.meanBound() * audit.steps();
        worstBound = Math.max(worstBound, audit.worstBound());
        examined += audit.steps();
        violations += audit.violations();
      }
    }
    int count = Math.max(1, examined);
    String name = method.name();
    int colon = name.indexOf(':');
    return new OfMethod(
        name,
        colon < 0 ? name : name.substring(0, colon),
        bytes,
        comparison.mean(),
        comparison.percentile95(),
        comparison.max(),
        comparison.top1(),
        comparison.top5(),
        comparison.perplexity(),
        isDense ? 1 : mass / count,
        error / count,
        worstError,
        bound / count,
        worstBound,
        examined,
        violations,
        escalated,
        null,
        0,
        seconds,
        heads,
        examiner.points());
  }

  private List<Sparsity> sparsity() {
    List<Sparsity> all = new ArrayList<>();
    for (GlobalLayer layer : lab.layers()) {
      for (int h = 0; h < layer.select().heads(); h++) {
        HeadAudit audit = examiner.audit(layer.index(), h);
        all.add(
            new Sparsity(
                layer.index(),
                h,
                audit.meanTokens(0),
                audit.meanTokens(1),
                audit.meanTokens(2),
                audit.meanTokens(3)));
      }
    }
    return all;
  }

  /** DENSE's greedy continuation of the prefix and one token of the text. */
  private int[] greedy(KvSequence prefix, int first) {
    int room = Math.min(settings.greedy, lab.context() - prefix.length() - 1);
    int[] tokens = new int[Math.max(0, room)];
    float[] logits = new float[lab.vocabulary()];
    try (KvSequence sequence = prefix.fork()) {
      int token = first;
      for (int i = 0; i < tokens.length; i++) {
        progress.at("greedy continuation", (i + 1.0) / tokens.length);
        lab.decode(sequence, token, Exactness.DENSE, null, logits);
        token = LogitComparison.best(logits)[0];
        tokens[i] = token;
      }
    }
    return tokens;
  }

  private Divergence divergence(KvSequence prefix, int[] text, Exactness exactness, int[] greedy) {
    float[] logits = new float[lab.vocabulary()];
    try (KvSequence sequence = prefix.fork()) {
      int token = text[prefix.length()];
      for (int i = 0; i < greedy.length; i++) {
        progress.at("greedy continuation", (i + 1.0) / greedy.length);
        lab.decode(sequence, token, exactness, null, logits);
        token = LogitComparison.best(logits)[0];
        if (token != greedy[i]) {
          return new Divergence(i, greedy.length);
        }
      }
    }
    return new Divergence(-1, greedy.length);
  }

  private record Divergence(int at, int tokens) {}

  private static OfMethod withDivergence(OfMethod m, Divergence divergence) {
    return new OfMethod(
        m.method(),
        m.family(),
        m.bytes(),
        m.klMean(),
        m.kl95(),
        m.klMax(),
        m.top1(),
        m.top5(),
        m.perplexity(),
        m.massRecall(),
        m.errorMean(),
        m.errorWorst(),
        m.boundMean(),
        m.boundWorst(),
        m.examined(),
        m.violations(),
        m.escalated(),
        divergence.at < 0 ? null : divergence.at,
        divergence.tokens,
        m.secondsPerToken(),
        m.heads(),
        m.points());
  }
}
