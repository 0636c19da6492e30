package dev.jacquard.cli;

import dev.jacquard.evaluation.Quality;
import dev.jacquard.evaluation.Svg;
import dev.jacquard.evaluation.attention.TaskRun;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** The results of {@code evaluate quality} as text and as a page. */
final class QualityReport {
  /**
   * The JSON document.
   *
   * @param model that all are compared with
   * @param window tokens of a window, of which the second half is scored
   */
  record Document(String model, int window, List<QualityResult> variants) {}

  private QualityReport() {}

  static String text(List<QualityResult> results) {
    StringBuilder text = new StringBuilder(Format.table("lrrrrrr", rows(results)));
    text.append("* on the front of bytes per token and mean KL\n");
    if (!results.getFirst().tasks().isEmpty()) {
      text.append(Format.table("l" + "r".repeat(results.size()), tasks(results)));
      text.append("right answer chosen / answered word for word\n");
    }
    return text.toString();
  }

  private static List<List<String>> rows(List<QualityResult> results) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(
        List.of("variant", "file", "bytes/token", "perplexity", "× model", "mean KL", "same best"));
    for (QualityResult r : results) {
      Quality q = r.quality();
      rows.add(
          List.of(
              r.name() + (r.paretoFront() ? " *" : ""),
              Format.bytes(r.fileBytes()),
              Format.bytes(r.bytesPerToken()),
              with(q.perplexity(), q.perplexityError(), 3),
              with(q.factor(), q.factorError(), 4),
              String.format(Locale.ROOT, "%.2e ± %.0e", q.klMean(), q.klError()),
              with(100 * q.top1(), 100 * q.top1Error(), 1) + " %"));
    }
    return rows;
  }

  private static String with(double value, double error, int decimals) {
    return Format.decimals(value, decimals) + " ± " + Format.decimals(error, decimals);
  }

  private static List<List<String>> tasks(List<QualityResult> results) {
    List<List<String>> rows = new ArrayList<>();
    List<String> head = new ArrayList<>(List.of("task"));
    results.forEach(r -> head.add(r.name()));
    rows.add(head);
    for (int t = 0; t < results.getFirst().tasks().size(); t++) {
      List<String> row = new ArrayList<>(List.of(results.getFirst().tasks().get(t).task()));
      for (QualityResult r : results) {
        TaskRun.Score score = r.tasks().get(t);
        row.add("%.0f / %.0f %%".formatted(100 * score.choice(), 100 * score.exact()));
      }
      rows.add(row);
    }
    return rows;
  }

  static String page(String model, List<QualityResult> results) {
    HtmlPage page = new HtmlPage("Quality: " + model);
    page.heading(1, "Quality and cost of variants of " + model);
    page.paragraph(
        results.getFirst().quality().positions()
            + " positions. Divergence and agreement are to the model itself; errors are standard"
            + " errors, those of factors of the paired differences. Bytes are those of weights,"
            + " keys and values that one token reads; * marks the Pareto front.");
    page.table(rows(results));
    List<Svg.Series> series = new ArrayList<>();
    series.add(
        new Svg.Series(
            "Pareto front",
            true,
            results.stream()
                .filter(QualityResult::paretoFront)
                .sorted(Comparator.comparingLong(QualityResult::bytesPerToken))
                .map(QualityReport::point)
                .toList()));
    results.forEach(r -> series.add(new Svg.Series(r.name(), false, List.of(point(r)))));
    page.append(Svg.logarithmic("MB per token", "mean KL, nats", series, false));
    if (!results.getFirst().tasks().isEmpty()) {
      page.heading(2, "Tasks");
      page.paragraph("Right answer chosen / answered word for word.");
      page.table(tasks(results));
    }
    return page.finish();
  }

  private static Svg.Point point(QualityResult r) {
    return new Svg.Point(r.bytesPerToken() / 1e6, r.quality().klMean());
  }
}
