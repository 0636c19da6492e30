package dev.jacquard.quantization;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Which format each tensor of a file gets.
 *
 * @param type what the file will call itself
 * @param tensors in the order in which they are written, llama.cpp's: tensors of no layer, then
 *     layer by layer, by name
 */
public record QuantizationPlan(FileType type, List<Entry> tensors) {
  /**
   * A tensor.
   *
   * @param source in the file that is read
   * @param target its new format; null if its bytes are copied
   */
  public record Entry(TensorInfo source, @Nullable ElementFormat target) {
    /** Name of the format that it will have. */
    public String format() {
      return target == null ? source.type() : target.name();
    }

    /** Bytes that it will have. */
    public long bytes() {
      return target == null ? source.bytes() : target.bytes(source.shape().elements());
    }
  }

  private static final Comparator<TensorInfo> ORDER =
      Comparator.<TensorInfo>comparingInt(t -> MixedTypes.layer(t.name()).orElse(-1))
          .thenComparing(TensorInfo::name);

  /** Copies. */
  public QuantizationPlan {
    tensors = List.copyOf(tensors);
  }

  /**
   * The formats that llama.cpp would choose, but for what the choice says otherwise.
   *
   * @param importances whether there is an importance matrix, which changes some of them
   * @param requantize whether tensors may be quantised that have lost precision already
   * @throws QuantizationException if a tensor cannot get its format
   */
  public static QuantizationPlan of(
      ModelFile file, TypeChoice choice, boolean importances, boolean requantize) {
    MixedTypes types = new MixedTypes(file, choice, importances);
    List<Entry> entries =
        file.tensors().stream()
            .sorted(ORDER)
            .map(t -> entry(t, MixedTypes.allowed(t) ? types.next(t) : null))
            .toList();
    return new QuantizationPlan(choice.type(), entries).checked(file, requantize);
  }

  /** This plan, where some tensors have the formats given by name instead. */
  public QuantizationPlan with(Map<String, ElementFormat> formats) {
    return new QuantizationPlan(
        type,
        tensors.stream()
            .map(
                e -> {
                  ElementFormat given = formats.get(e.source.name());
                  return given == null ? e : entry(e.source, given);
                })
            .toList());
  }

  /** What has its format already is copied. */
  private static Entry entry(TensorInfo source, @Nullable ElementFormat target) {
    return new Entry(
        source, target == null || target.ggmlType() == source.typeNumber() ? null : target);
  }

  private QuantizationPlan checked(ModelFile file, boolean requantize) {
    for (Entry entry : tensors) {
      if (entry.target == null) {
        continue;
      }
      TensorInfo source = entry.source;
      Optional<ElementFormat> format = ElementFormats.byGgmlType(source.typeNumber());
      if (format.isEmpty()) {
        throw new QuantizationException(
            "%s: tensor %s is %s, which cannot be decoded here (%s can)"
                .formatted(
                    file.path(),
                    source.name(),
                    source.type(),
                    String.join(
                        ", ", ElementFormats.all().stream().map(ElementFormat::name).toList())));
      }
      if (format.get().blockSize() > 1 && !requantize) {
        throw new QuantizationException(
            ("%s: tensor %s is quantised already (%s), and to quantise it again costs quality: take"
                    + " the F16, BF16 or F32 file, or say --requantize")
                .formatted(file.path(), source.name(), source.type()));
      }
    }
    return this;
  }

  /** Bytes of all tensors, as they are. */
  public long sourceBytes() {
    return tensors.stream().mapToLong(e -> e.source.bytes()).sum();
  }

  /** Bytes of all tensors, as they will be. */
  public long bytes() {
    return tensors.stream().mapToLong(Entry::bytes).sum();
  }

  /** Numbers in all tensors. */
  public long elements() {
    return tensors.stream().mapToLong(e -> e.source.shape().elements()).sum();
  }
}
