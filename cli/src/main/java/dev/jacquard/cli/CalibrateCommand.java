package dev.jacquard.cli;

import dev.jacquard.calibration.Calibration;
import dev.jacquard.calibration.Calibration.LayerReport;
import dev.jacquard.calibration.CalibrationText;
import dev.jacquard.calibration.Calibrator;
import dev.jacquard.calibration.SavedCalibration;
import dev.jacquard.session.Model;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code calibrate}: makes the bases of a model's token sketches. */
@Command(
    name = "calibrate",
    description = {
      "Prepares a model for attention that reads a part of a long context.",
      "Runs the model over a text, finds for each key/value head the basis in which a key can be"
          + " sketched in one bit per channel, and saves the bases beside the model, or in the"
          + " cache folder where that cannot be written."
    },
    footer = "  jacquard calibrate -m model.gguf ~/src/project")
final class CalibrateCommand implements Callable<Integer> {
  /** More characters than any tokenizer makes one token of, on average. */
  private static final int CHARS_PER_TOKEN = 8;

  /**
   * The JSON document.
   *
   * @param seconds that the calibration took, without opening the model
   */
  record Document(String file, String source, int tokens, double seconds, List<Layer> layers) {
    /**
     * A layer.
     *
     * @param channels that the sketch keeps, of each key/value head
     * @param varianceShare share of the variance of the scores that these carry
     * @param error root mean square on held-out text, in nats; null if none was left
     * @param tolerance factor on the weight from which on {@code budgeted} reads tokens
     */
    record Layer(
        int layer,
        List<Integer> channels,
        double varianceShare,
        @Nullable Double error,
        double tolerance) {}
  }

  private final Terminal terminal;

  @Parameters(
      paramLabel = "DIR or FILE",
      arity = "0..*",
      description = "The text, in UTF-8 (default: a bundled one, source code).")
  private List<Path> paths = new ArrayList<>();

  @Option(
      names = {"-n", "--tokens"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      description = "Tokens of the text to read (default: " + Calibrator.DEFAULT_TOKENS + ").")
  private int tokens = Calibrator.DEFAULT_TOKENS;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  @Mixin private final RunFlags run = new RunFlags();

  CalibrateCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    int maxChars = (int) Math.min(Integer.MAX_VALUE / 2, (long) tokens * CHARS_PER_TOKEN);
    String text =
        paths.isEmpty() ? CalibrationText.bundled() : TextFolder.read(paths, maxChars, terminal);
    String source =
        paths.isEmpty()
            ? CalibrationText.SOURCE
            : paths.stream()
                .map(p -> String.valueOf(p.getFileName()))
                .collect(Collectors.joining(", "));
    try (Model model = run.open(terminal, 0)) {
      int[] ids =
          model
              .tokenizer()
              .encode(
                  text.substring(0, Math.min(text.length(), maxChars)), Tokenizer.Options.PLAIN);
      int[] used = Arrays.copyOf(ids, Math.min(ids.length, tokens));
      long started = System.nanoTime();
      SavedCalibration saved = model.calibrate(used, source, this::progress);
      double seconds = (System.nanoTime() - started) / 1e9;
      terminal.clearStatus();
      terminal.print(
          json
              ? Json.write(document(saved, seconds)) + "\n"
              : text(saved.calibration(), saved.file(), seconds));
    }
    return ExitCode.OK;
  }

  private void progress(double share) {
    terminal.interruption().check();
    terminal.status("calibrating " + Terminal.bar(share));
  }

  private static Document document(SavedCalibration saved, double seconds) {
    Calibration calibration = saved.calibration();
    return new Document(
        saved.file().toString(),
        calibration.source(),
        calibration.tokens(),
        seconds,
        calibration.reports().stream()
            .map(
                r ->
                    new Document.Layer(
                        r.layer(),
                        r.channels(),
                        r.share(),
                        Double.isNaN(r.error()) ? null : r.error(),
                        r.tolerance()))
            .toList());
  }

  private static String text(Calibration calibration, Path file, double seconds) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("layer", "channels", "score variance", "error", "tolerance"));
    for (LayerReport r : calibration.reports()) {
      rows.add(
          List.of(
              String.valueOf(r.layer()),
              r.channels().stream().map(String::valueOf).collect(Collectors.joining(" ")),
              Format.decimals(100 * r.share(), 1) + " %",
              Double.isNaN(r.error()) ? "-" : Format.decimals(r.error(), 2) + " nats",
              Format.decimals(r.tolerance(), 2)));
    }
    return Format.table("rlrrr", rows)
        + "%d tokens of %s in %s s, saved in %s%n"
            .formatted(
                calibration.tokens(), calibration.source(), Format.decimals(seconds, 1), file);
  }
}
