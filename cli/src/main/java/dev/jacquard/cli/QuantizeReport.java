package dev.jacquard.cli;

import dev.jacquard.quantization.QuantizationPlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What {@code quantize} did, or would do: the JSON document.
 *
 * @param output null if nothing was written
 * @param type of the file
 * @param inputBytes of all tensors, as they were
 * @param outputBytes of all tensors, as they are now
 * @param bitsPerWeight of all tensors, as they are now
 * @param seconds that writing took; null if nothing was written
 * @param inputBytesPerSecond read; null if nothing was written
 * @param mix how the formats were chosen; null if by the rules of a type
 */
record QuantizeReport(
    String input,
    @Nullable String output,
    String type,
    long inputBytes,
    long outputBytes,
    double bitsPerWeight,
    @Nullable Double seconds,
    @Nullable Double inputBytesPerSecond,
    @Nullable Mix mix,
    List<Tensor> tensors) {
  /** One tensor. */
  record Tensor(String name, List<Long> shape, String from, String to, long bytes) {}

  /**
   * How the formats were chosen. Divergences are means over the positions, KL(as it was ‖ as it is)
   * in nats a token, on the text of the choice.
   *
   * @param positions tokens after which logits were compared
   * @param predictedKl the sum over the tensors
   * @param kl of the model as it is now
   * @param klOfType of the type whose size was asked for, with the same importances
   */
  record Mix(
      int positions,
      double predictedKl,
      double kl,
      @Nullable Double klOfType,
      List<Sensitivity> tensors) {
    static Mix of(MixSearch.Found found) {
      return new Mix(
          found.tokens(),
          found.mix().predicted(),
          found.mix().measured(),
          found.fixedDivergence(),
          found.mix().choices().stream()
              .map(
                  c ->
                      new Sensitivity(
                          c.tensor().name(),
                          c.smallest().name(),
                          c.sensitivity(),
                          c.format().name(),
                          c.cost()))
              .toList());
    }
  }

  /**
   * What a tensor costs.
   *
   * @param klAlone with this tensor alone in the smallest format
   * @param kl that is expected of the format that was chosen
   */
  record Sensitivity(String name, String smallest, double klAlone, String format, double kl) {}

  static QuantizeReport of(
      Path input,
      @Nullable Path output,
      QuantizationPlan plan,
      double seconds,
      MixSearch.@Nullable Found found) {
    return new QuantizeReport(
        input.toString(),
        output == null ? null : output.toString(),
        plan.type().name(),
        plan.sourceBytes(),
        plan.bytes(),
        bits(plan.bytes(), plan),
        output == null ? null : seconds,
        output == null ? null : plan.sourceBytes() / seconds,
        found == null ? null : Mix.of(found),
        plan.tensors().stream()
            .map(
                e ->
                    new Tensor(
                        e.source().name(),
                        e.source().shape().sizes(),
                        e.source().type(),
                        e.format(),
                        e.bytes()))
            .toList());
  }

  private static double bits(long bytes, QuantizationPlan plan) {
    return plan.elements() == 0 ? 0 : 8.0 * bytes / plan.elements();
  }

  /** For people: each tensor if asked for, then what the formats take. */
  String text(boolean eachTensor) {
    StringBuilder text = new StringBuilder();
    if (mix != null) {
      text.append(mixTable(mix)).append('\n');
    } else if (eachTensor) {
      text.append(tensorTable()).append('\n');
    }
    text.append(formatTable());
    text.append(
        "%s in %s, %s bits a weight%s%n"
            .formatted(
                Format.bytes(outputBytes),
                output == null ? "tensors" : output,
                Format.decimals(bitsPerWeight, 2),
                seconds == null || inputBytesPerSecond == null
                    ? "; nothing was written"
                    : "; %s read in %s s (%s/s)"
                        .formatted(
                            Format.bytes(inputBytes),
                            Format.decimals(seconds, 1),
                            Format.bytes(Math.round(inputBytesPerSecond)))));
    return text.toString();
  }

  private String tensorTable() {
    List<List<String>> rows = new ArrayList<>();
    for (Tensor tensor : tensors) {
      rows.add(
          List.of(
              Format.printable(tensor.name),
              String.join(" x ", tensor.shape.stream().map(String::valueOf).toList()),
              tensor.from,
              tensor.to,
              Format.bytes(tensor.bytes)));
    }
    return Format.table("lrllr", rows);
  }

  private static String mixTable(Mix mix) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("tensor", "KL alone", "in", "chosen", "KL"));
    for (Sensitivity s : mix.tensors) {
      rows.add(
          List.of(
              Format.printable(s.name),
              scientific(s.klAlone),
              s.smallest,
              s.format,
              scientific(s.kl)));
    }
    return Format.table("lrllr", rows)
        + "mean KL %s, predicted %s%s; %d positions%n"
            .formatted(
                scientific(mix.kl),
                scientific(mix.predictedKl),
                mix.klOfType == null
                    ? ""
                    : ", of the type with the same size " + scientific(mix.klOfType),
                mix.positions);
  }

  private static String scientific(double value) {
    return String.format(Locale.ROOT, "%.2e", value);
  }

  private String formatTable() {
    Map<String, long[]> formats = new TreeMap<>();
    for (Tensor tensor : tensors) {
      long[] sums = formats.computeIfAbsent(tensor.to, _ -> new long[2]);
      sums[0]++;
      sums[1] += tensor.bytes;
    }
    List<List<String>> rows = new ArrayList<>();
    formats.forEach(
        (name, sums) -> rows.add(List.of(name, sums[0] + " tensors", Format.bytes(sums[1]))));
    return Format.table("lrr", rows);
  }
}
