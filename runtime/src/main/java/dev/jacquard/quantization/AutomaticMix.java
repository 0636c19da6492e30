package dev.jacquard.quantization;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Weight;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.quantization.MixChooser.Candidate;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.DoubleConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Chooses the format of each tensor by what it costs in this model. One tensor at a time is
 * quantised, to the smallest format that it may get, and the divergence of the logits from those of
 * the whole model is measured on a text. It grows with the square of the error, so the cost of the
 * other formats follows from their errors, weighted by importances. Costs are taken to add up.
 */
public final class AutomaticMix implements AutoCloseable {
  /**
   * What was measured of a tensor.
   *
   * @param cost mean divergence of the logits, in nats, with this tensor alone in its smallest
   *     format
   * @param candidates the formats that it may get, with their costs
   */
  record Sensitivity(TensorInfo tensor, double cost, List<Candidate> candidates) {}

  /**
   * What was chosen for a tensor.
   *
   * @param sensitivity mean divergence of the logits, in nats, with this tensor alone in the
   *     smallest format that it may get
   * @param smallest that format
   * @param cost the part of the whole divergence that is expected of it
   */
  public record Choice(
      TensorInfo tensor,
      ElementFormat smallest,
      double sensitivity,
      ElementFormat format,
      double cost) {}

  /**
   * A mix.
   *
   * @param predicted divergence of the logits: the sum of the tensors' costs
   * @param measured divergence of the logits on the same text
   */
  public record Result(
      QuantizationPlan plan, List<Choice> choices, double predicted, double measured) {}

  /** Elements of a block of K formats. */
  private static final int K_BLOCK = 256;

  private static final int Q8_0 = 8;

  private final GgufFile file;
  private final Backend backend;
  private final List<ElementFormat> allowed;
  private final TrialCoder coder;
  private final int rows;
  private final int alignment;
  private final Program program;
  private final LogitBase base;
  private final List<Sensitivity> sensitivities = new ArrayList<>();

  /**
   * Reads the text with the whole model.
   *
   * @param file the model, not quantised; open while this is
   * @param importance for the errors and for encoding, or null
   * @param allowed formats that may be chosen; empty for all that make sense
   * @param pieces of text, all of one length
   */
  public AutomaticMix(
      GgufFile file,
      Backend backend,
      @Nullable ImportanceMatrix importance,
      List<ElementFormat> allowed,
      List<int[]> pieces,
      int threads) {
    this.file = file;
    this.backend = backend;
    this.allowed = List.copyOf(allowed);
    rows = pieces.getFirst().length;
    alignment = file.metadata().integer("general.alignment", 32);
    coder = new TrialCoder(file, importance, threads);
    try (ExaminedModel model = new ExaminedModel(file, backend, rows, share -> {})) {
      program = model.program();
      base = new LogitBase(model, pieces);
    }
  }

  /**
   * Measures every tensor.
   *
   * @param progress told the finished share; may throw to stop
   */
  public void measure(DoubleConsumer progress) {
    Set<String> used = program.weights().stream().map(Weight::name).collect(Collectors.toSet());
    List<TensorInfo> tensors =
        file.tensors().stream()
            .filter(t -> MixedTypes.allowed(t) && used.contains(t.name()))
            .toList();
    for (TensorInfo tensor : tensors) {
      progress.accept((double) sensitivities.size() / tensors.size());
      sensitivities.add(measure(tensor));
    }
    progress.accept(1);
  }

  private Sensitivity measure(TensorInfo tensor) {
    Map<ElementFormat, Double> errors = new LinkedHashMap<>();
    for (ElementFormat format : formats(tensor)) {
      try (Arena arena = Arena.ofShared()) {
        errors.put(format, coder.encode(tensor, format, arena).error());
      }
    }
    ElementFormat smallest = smallest(tensor, errors);
    double cost = divergence(Map.of(tensor.name(), smallest));
    List<Candidate> candidates = new ArrayList<>();
    double unit = cost / Math.max(Double.MIN_NORMAL, errors.getOrDefault(smallest, 0.0));
    errors.forEach(
        (format, error) ->
            candidates.add(new Candidate(format, bytes(tensor, format), unit * error)));
    return new Sensitivity(tensor, cost, candidates);
  }

  /** Bytes of a tensor, with the padding after it. */
  private long bytes(TensorInfo tensor, ElementFormat format) {
    return QuantizationPlan.padded(format.bytes(tensor.shape().elements()), alignment);
  }

  /** Of the formats with the fewest bytes the one with the least error. */
  private ElementFormat smallest(TensorInfo tensor, Map<ElementFormat, Double> errors) {
    return MixChooser.hull(
            errors.entrySet().stream()
                .map(e -> new Candidate(e.getKey(), bytes(tensor, e.getKey()), e.getValue()))
                .toList())
        .getFirst()
        .format();
  }

  /**
   * Formats that a tensor may get: of the allowed ones those whose blocks fit its rows and that are
   * no larger than what is there, and its own. Where K formats fit, those of 32 elements, which err
   * more in as many bytes, are only tried if somebody asked for them.
   */
  private List<ElementFormat> formats(TensorInfo tensor) {
    boolean wide = tensor.shape().columns() % K_BLOCK == 0;
    return ElementFormats.all().stream()
        .filter(
            f ->
                f.ggmlType() == tensor.typeNumber()
                    || (allowed.isEmpty()
                        ? f.blockSize() == K_BLOCK
                            || f.ggmlType() == Q8_0
                            || (f.blockSize() > 1 && !wide)
                        : allowed.contains(f)))
        .filter(f -> tensor.shape().columns() % f.blockSize() == 0)
        .filter(f -> f.bytes(tensor.shape().elements()) <= tensor.bytes())
        .toList();
  }

  private double divergence(Map<String, ElementFormat> formats) {
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      for (TensorInfo tensor : file.tensors()) {
        ElementFormat format = formats.get(tensor.name());
        if (format != null && format.ggmlType() != tensor.typeNumber()) {
          tensors.put(tensor.name(), coder.encode(tensor, format, arena).tensor());
        }
      }
      try (ExaminedModel model =
          new ExaminedModel(new ReplacedWeights(tensors).in(program), backend, rows, share -> {})) {
        return base.divergence(model);
      }
    }
  }

  /**
   * Chooses formats.
   *
   * @param plan whose other tensors stay
   * @param bytes that all tensors may take, padding between them included
   * @throws QuantizationException if even the smallest formats take more
   */
  public Result choose(QuantizationPlan plan, long bytes) {
    Map<String, List<Candidate>> candidates = new HashMap<>();
    sensitivities.forEach(s -> candidates.put(s.tensor.name(), s.candidates));
    long others =
        plan.tensors().stream()
            .filter(e -> !candidates.containsKey(e.source().name()))
            .mapToLong(e -> QuantizationPlan.padded(e.bytes(), alignment))
            .sum();
    Map<String, Candidate> chosen = MixChooser.choose(candidates, bytes - others);
    Map<String, ElementFormat> formats = new HashMap<>();
    chosen.forEach((name, candidate) -> formats.put(name, candidate.format()));
    List<Choice> choices =
        sensitivities.stream()
            .map(
                s -> {
                  Candidate c = Objects.requireNonNull(chosen.get(s.tensor.name()));
                  return new Choice(
                      s.tensor,
                      MixChooser.hull(s.candidates).getFirst().format(),
                      s.cost,
                      c.format(),
                      c.cost());
                })
            .toList();
    return new Result(
        plan.with(formats),
        choices,
        choices.stream().mapToDouble(Choice::cost).sum(),
        divergence(formats));
  }

  /** Tokens after which logits are compared. */
  public int positions() {
    return base.positions();
  }

  /** Mean divergence of the logits that a plan makes on the text, in nats. */
  public double divergence(QuantizationPlan plan) {
    Map<String, ElementFormat> formats = new HashMap<>();
    plan.tensors()
        .forEach(
            e -> {
              if (e.target() != null) {
                formats.put(e.source().name(), e.target());
              }
            });
    return divergence(formats);
  }

  @Override
  public void close() {
    base.close();
    coder.close();
  }
}
