package dev.jacquard.cli;

import dev.jacquard.quantization.QuantizationPlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
    List<Tensor> tensors) {
  /** One tensor. */
  record Tensor(String name, List<Long> shape, String from, String to, long bytes) {}

  static QuantizeReport of(
      Path input, @Nullable Path output, QuantizationPlan plan, double seconds) {
    return new QuantizeReport(
        input.toString(),
        output == null ? null : output.toString(),
        plan.type().name(),
        plan.sourceBytes(),
        plan.bytes(),
        bits(plan.bytes(), plan),
        output == null ? null : seconds,
        output == null ? null : plan.sourceBytes() / seconds,
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
    if (eachTensor) {
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
