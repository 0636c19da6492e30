package dev.jacquard.cli;

import dev.jacquard.evaluation.Svg;
import dev.jacquard.evaluation.attention.AttentionResults;
import dev.jacquard.evaluation.attention.AttentionResults.GridCell;
import dev.jacquard.evaluation.attention.AttentionResults.OfLength;
import dev.jacquard.evaluation.attention.AttentionResults.OfMethod;
import dev.jacquard.evaluation.attention.AttentionResults.OfTask;
import dev.jacquard.evaluation.attention.AttentionResults.TaskScore;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The results of {@code evaluate attention} as one HTML page, well-formed XML, with plots inline:
 * it loads nothing.
 */
final class AttentionPage {
  private final HtmlPage page;

  private AttentionPage(AttentionResults results) {
    page = new HtmlPage("Attention: " + results.model());
  }

  /** The whole page. */
  static String of(AttentionResults results) {
    return new AttentionPage(results).write(results);
  }

  private String write(AttentionResults results) {
    page.heading(1, "Attention that reads less, on " + results.model());
    page.paragraph(
        results.backend()
            + ". All methods are compared with dense attention over the same 8-bit cache; bytes are"
            + " those of layers without a window.");
    if (!results.sketched()) {
      page.paragraph("The cache had no sketches: BUDGETED and VERIFIED read everything.");
    }
    for (OfLength length : results.lengths()) {
      length(length);
    }
    needles(results.tasks());
    tasks(results.tasks());
    return page.finish();
  }

  private void length(OfLength length) {
    page.heading(
        2, length.tokens() + " tokens, the last " + length.positions() + " decoded one by one");
    List<List<String>> rows = new ArrayList<>();
    rows.add(
        List.of(
            "method",
            "bytes",
            "mean KL",
            "95 % KL",
            "largest KL",
            "top-1",
            "top-5",
            "perplexity",
            "mass read",
            "error",
            "largest error",
            "bound",
            "violations",
            "first other token"));
    for (OfMethod m : length.methods()) {
      rows.add(
          List.of(
              m.method(),
              percent(m.bytes()),
              small(m.klMean()),
              small(m.kl95()),
              small(m.klMax()),
              percent(m.top1()),
              percent(m.top5()),
              Format.decimals(m.perplexity(), 3),
              percent(m.massRecall()),
              small(m.errorMean()),
              small(m.errorWorst()),
              small(m.boundMean()),
              m.violations() + " of " + m.examined(),
              divergence(m)));
    }
    page.table(rows);
    page.heading(3, "Quality and bytes");
    page.append(
        Svg.logarithmic(
            "bytes read, % of dense", "mean KL, nats per token", curves(length.methods()), false));
    page.heading(3, "Bound and true error, as shares of the diameter of the values");
    page.append(Svg.logarithmic("bound", "true error", points(length.methods()), true));
    page.heading(3, "Sparsity: share of the tokens that holds 99 % of a head's weight");
    page.append(
        Svg.bars(
            "share of the tokens",
            length.sparsity().stream()
                .map(
                    s ->
                        new Svg.Bar(
                            s.layer() + "." + s.head(), s.tokens99() / (double) length.tokens()))
                .toList()));
  }

  private static String divergence(OfMethod m) {
    if (m.greedyTokens() == 0) {
      return "-";
    }
    return m.divergence() == null ? "none of " + m.greedyTokens() : "" + m.divergence();
  }

  private static List<Svg.Series> curves(List<OfMethod> methods) {
    Map<String, List<Svg.Point>> byFamily = new LinkedHashMap<>();
    for (OfMethod m : methods) {
      byFamily
          .computeIfAbsent(m.family(), _ -> new ArrayList<>())
          .add(new Svg.Point(100 * m.bytes(), m.klMean()));
    }
    List<Svg.Series> series = new ArrayList<>();
    byFamily.forEach(
        (family, points) -> {
          points.sort((a, b) -> Double.compare(a.x(), b.x()));
          series.add(new Svg.Series(family, true, points));
        });
    series.removeIf(s -> s.name().equals("dense"));
    return series;
  }

  private static List<Svg.Series> points(List<OfMethod> methods) {
    return methods.stream()
        .filter(m -> !m.points().isEmpty())
        .map(
            m ->
                new Svg.Series(
                    m.method(),
                    false,
                    m.points().stream().map(p -> new Svg.Point(p.bound(), p.error())).toList()))
        .toList();
  }

  private void needles(List<OfTask> tasks) {
    List<OfTask> grids = tasks.stream().filter(t -> !t.grid().isEmpty()).toList();
    if (grids.isEmpty()) {
      return;
    }
    page.heading(2, "Needle grid: the right answer chosen, by depth");
    Set<String> methods = new LinkedHashSet<>();
    grids.forEach(t -> t.grid().forEach(cell -> methods.add(cell.method())));
    for (String method : methods) {
      page.heading(3, method);
      List<String> rows = new ArrayList<>();
      List<List<Double>> values = new ArrayList<>();
      List<String> columns = new ArrayList<>();
      for (OfTask task : grids) {
        List<GridCell> cells =
            task.grid().stream().filter(cell -> cell.method().equals(method)).toList();
        rows.add(task.tokens() + " tokens");
        values.add(cells.stream().map(GridCell::choice).toList());
        columns = cells.stream().map(cell -> percent(cell.depth())).toList();
      }
      page.append(Svg.heatMap(rows, columns, values));
    }
  }

  private void tasks(List<OfTask> tasks) {
    if (tasks.isEmpty()) {
      return;
    }
    page.heading(2, "Tasks");
    page.paragraph(
        "Right answer chosen among those offered, and answered word for word by greedy decoding. A"
            + " task counts if dense attention is at least half way from chance to perfect.");
    List<List<String>> rows = new ArrayList<>();
    List<String> head = new ArrayList<>(List.of("task", "tokens", "questions", "chance", "counts"));
    tasks.getFirst().methods().forEach(score -> head.add(score.method()));
    rows.add(head);
    for (OfTask task : tasks) {
      List<String> row =
          new ArrayList<>(
              List.of(
                  task.task(),
                  "" + task.tokens(),
                  "" + task.cases(),
                  percent(task.chance()),
                  task.counts() ? "yes" : "no"));
      for (TaskScore score : task.methods()) {
        row.add(percent(score.choice()) + " / " + percent(score.exact()));
      }
      rows.add(row);
    }
    page.table(rows);
  }

  private static String percent(double share) {
    return Format.decimals(100 * share, 1) + " %";
  }

  private static String small(double value) {
    return value == 0 ? "0" : String.format(Locale.ROOT, "%.2e", value);
  }
}
