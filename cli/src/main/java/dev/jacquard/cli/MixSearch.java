package dev.jacquard.cli;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.quantization.AutomaticMix;
import dev.jacquard.quantization.ExaminedModel;
import dev.jacquard.quantization.FileType;
import dev.jacquard.quantization.ImportanceCollector;
import dev.jacquard.quantization.ImportanceMatrix;
import dev.jacquard.quantization.QuantizationPlan;
import dev.jacquard.quantization.Quantizer;
import dev.jacquard.quantization.TypeChoice;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Runs the search of {@code quantize} for the formats that cost least at a size. */
final class MixSearch {
  /**
   * What was found.
   *
   * @param importance with which the tensors are to be encoded
   * @param source of it, for the file
   * @param fixedDivergence of the type whose size was asked for, encoded alike; null if none was
   */
  record Found(
      AutomaticMix.Result mix,
      ImportanceMatrix importance,
      String source,
      @Nullable Double fixedDivergence,
      int tokens) {}

  private final Terminal terminal;
  private final MixFlags flags;
  private final GgufFile file;
  private final int threads;

  MixSearch(Terminal terminal, MixFlags flags, GgufFile file, int threads) {
    this.terminal = terminal;
    this.flags = flags;
    this.file = file;
    this.threads = threads;
  }

  /**
   * Searches.
   *
   * @param given the importance matrix, or null to measure one on the text
   * @param givenSource its file
   */
  Found run(@Nullable ImportanceMatrix given, @Nullable Path givenSource) throws IOException {
    FileType other = flags.sameSizeAs();
    FileType usual = other == null ? FileType.Q4_K_M : other;
    QuantizationPlan plan = QuantizationPlan.of(file, TypeChoice.of(usual), false, false);
    List<int[]> pieces = flags.text().pieces(file, flags.texts(), terminal);
    try (Backend backend = Backends.open(flags.backend(), new BackendOptions(threads))) {
      ImportanceMatrix importance = given == null ? measure(backend, pieces) : given;
      String source = givenSource == null ? "measured for this file" : givenSource.toString();
      try (AutomaticMix mix =
          new AutomaticMix(
              file, backend, importance, flags.formats(), flags.tried(pieces), threads)) {
        mix.measure(share -> progress("trying each tensor ", share));
        AutomaticMix.Result result = mix.choose(plan, bytes(plan, importance, source));
        Double fixed = other == null ? null : mix.divergence(plan);
        terminal.clearStatus();
        return new Found(result, importance, source, fixed, mix.positions());
      }
    }
  }

  private ImportanceMatrix measure(Backend backend, List<int[]> pieces) {
    try (ExaminedModel model =
        new ExaminedModel(file, backend, flags.text().pieceLength(), share -> {})) {
      String names = flags.texts().stream().map(Path::toString).collect(Collectors.joining(", "));
      return new ImportanceCollector(model, true)
          .collect(pieces, List.of(names), share -> progress("reading the text ", share));
    }
  }

  /** Bytes that the tensors may take, padding included. */
  private long bytes(QuantizationPlan plan, ImportanceMatrix importance, String source) {
    int alignment = file.metadata().integer("general.alignment", 32);
    Double bits = flags.bits();
    if (bits != null) {
      return (long) (bits / 8 * plan.elements());
    }
    Long size = flags.size();
    long whole = size == null ? new Quantizer(file, plan, threads).bytes() : size;
    long header =
        new Quantizer(file, plan, threads).with(importance, source).bytes()
            - plan.paddedBytes(alignment);
    return whole - header;
  }

  private void progress(String what, double share) {
    terminal.interruption().check();
    terminal.status(what + Terminal.bar(share));
  }
}
