package dev.jacquard.evaluation;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Plots as inline SVG, written by hand: nothing is loaded from anywhere. */
public final class Svg {
  private static final int WIDTH = 640;
  private static final int HEIGHT = 360;
  private static final int LEFT = 70;
  private static final int RIGHT = 150;
  private static final int TOP = 12;
  private static final int BOTTOM = 44;
  private static final List<String> COLOURS =
      List.of(
          "#0b6e99", "#d9480f", "#2b8a3e", "#862e9c", "#e67700", "#495057", "#c2255c", "#1864ab",
          "#5c940d", "#000000");

  private Svg() {}

  /** A point. */
  public record Point(double x, double y) {}

  /** Points of one name, joined by a line or not. */
  public record Series(String name, boolean line, List<Point> points) {
    /** Copies. */
    public Series {
      points = List.copyOf(points);
    }
  }

  /** A bar with a label under it. */
  public record Bar(String label, double value) {}

  /** Text as it stands in HTML and SVG. */
  public static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }

  /**
   * Points in logarithmic axes; points that are not positive are left out.
   *
   * @param diagonal whether the line y = x is drawn
   */
  public static String logarithmic(
      String xName, String yName, List<Series> series, boolean diagonal) {
    List<Point> all =
        series.stream().flatMap(s -> s.points().stream()).filter(Svg::isPositive).toList();
    if (all.isEmpty()) {
      return "<p>There is nothing to plot.</p>\n";
    }
    Axis x = Axis.of(all.stream().map(Point::x).toList(), LEFT, WIDTH - RIGHT);
    Axis y = Axis.of(all.stream().map(Point::y).toList(), HEIGHT - BOTTOM, TOP);
    StringBuilder svg = new StringBuilder(open(WIDTH, HEIGHT));
    for (double tick : x.ticks()) {
      svg.append(line(x.at(tick), TOP, x.at(tick), HEIGHT - BOTTOM, "#dee2e6", 1));
      svg.append(text(x.at(tick), HEIGHT - BOTTOM + 16, "middle", label(tick)));
    }
    for (double tick : y.ticks()) {
      svg.append(line(LEFT, y.at(tick), WIDTH - RIGHT, y.at(tick), "#dee2e6", 1));
      svg.append(text(LEFT - 6, y.at(tick) + 4, "end", label(tick)));
    }
    svg.append(text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8, "middle", xName));
    svg.append(
        "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n"
            .formatted((TOP + HEIGHT - BOTTOM) / 2, escape(yName)));
    if (diagonal) {
      double low = Math.max(x.low, y.low);
      double high = Math.min(x.high, y.high);
      if (low < high) {
        svg.append(line(x.at(low), y.at(low), x.at(high), y.at(high), "#868e96", 1));
      }
    }
    for (int i = 0; i < series.size(); i++) {
      append(svg, series.get(i), COLOURS.get(i % COLOURS.size()), x, y);
      int at = TOP + 14 + 18 * i;
      svg.append(line(WIDTH - RIGHT + 12, at, WIDTH - RIGHT + 30, at, colour(i), 3));
      svg.append(text(WIDTH - RIGHT + 36, at + 4, "start", series.get(i).name()));
    }
    return svg.append("</svg>\n").toString();
  }

  private static String colour(int i) {
    return COLOURS.get(i % COLOURS.size());
  }

  private static boolean isPositive(Point p) {
    return p.x() > 0 && p.y() > 0;
  }

  private static void append(StringBuilder svg, Series series, String colour, Axis x, Axis y) {
    List<Point> points = series.points().stream().filter(Svg::isPositive).toList();
    StringBuilder path = new StringBuilder();
    for (Point p : points) {
      path.append(path.isEmpty() ? 'M' : 'L')
          .append(number(x.at(p.x())))
          .append(' ')
          .append(number(y.at(p.y())));
      svg.append(
          "<circle cx=\"%s\" cy=\"%s\" r=\"%s\" fill=\"%s\" fill-opacity=\"0.7\"/>\n"
              .formatted(
                  number(x.at(p.x())), number(y.at(p.y())), series.line() ? "4" : "2", colour));
    }
    if (series.line() && !path.isEmpty()) {
      svg.append(
          "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n"
              .formatted(path, colour));
    }
  }

  /** Bars whose heights are shares, 0 to 1. */
  public static String bars(String yName, List<Bar> bars) {
    int step = 22;
    int width = LEFT + 20 + step * bars.size();
    int height = 240;
    int bottom = 64;
    StringBuilder svg = new StringBuilder(open(width, height));
    for (int i = 0; i <= 4; i++) {
      double y = height - bottom - i / 4.0 * (height - bottom - TOP);
      svg.append(line(LEFT, y, width, y, "#dee2e6", 1));
      svg.append(text(LEFT - 6, y + 4, "end", 25 * i + " %"));
    }
    svg.append(
        "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n"
            .formatted((TOP + height - bottom) / 2, escape(yName)));
    for (int i = 0; i < bars.size(); i++) {
      double x = LEFT + 8 + step * i;
      double size = bars.get(i).value() * (height - bottom - TOP);
      svg.append(
          "<rect x=\"%s\" y=\"%s\" width=\"14\" height=\"%s\" fill=\"%s\"/>\n"
              .formatted(number(x), number(height - bottom - size), number(size), colour(0)));
      svg.append(
          "<text transform=\"translate(%s %d) rotate(-60)\" text-anchor=\"end\">%s</text>\n"
              .formatted(number(x + 10), height - bottom + 12, escape(bars.get(i).label())));
    }
    return svg.append("</svg>\n").toString();
  }

  /**
   * A table of coloured cells.
   *
   * @param values shares, 0 (red) to 1 (green), row after row
   */
  public static String heatMap(List<String> rows, List<String> columns, List<List<Double>> values) {
    int left = 170;
    int cell = 64;
    int line = 30;
    StringBuilder svg =
        new StringBuilder(open(left + cell * columns.size() + 10, line * rows.size() + 30));
    for (int r = 0; r < rows.size(); r++) {
      svg.append(text(left - 8, line * r + 19, "end", rows.get(r)));
      for (int c = 0; c < columns.size(); c++) {
        double value = values.get(r).get(c);
        svg.append(
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"hsl(%d,65%%,72%%)\"/>\n"
                .formatted(left + cell * c, line * r, cell - 2, line - 2, Math.round(120 * value)));
        svg.append(
            text(
                left + cell * c + cell / 2.0,
                line * r + 19,
                "middle",
                Math.round(100 * value) + " %"));
      }
    }
    for (int c = 0; c < columns.size(); c++) {
      svg.append(
          text(left + cell * c + cell / 2.0, line * rows.size() + 16, "middle", columns.get(c)));
    }
    return svg.append("</svg>\n").toString();
  }

  private static String open(int width, int height) {
    return ("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
            + " viewBox=\"0 0 %d %d\" font-size=\"12\">\n")
        .formatted(width, height, width, height);
  }

  private static String line(double x1, double y1, double x2, double y2, String colour, int width) {
    return "<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" stroke=\"%s\" stroke-width=\"%d\"/>\n"
        .formatted(number(x1), number(y1), number(x2), number(y2), colour, width);
  }

  private static String text(double x, double y, String anchor, String text) {
    return "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
        .formatted(number(x), number(y), anchor, escape(text));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }

  private static String label(double value) {
    return value >= 0.01 && value < 1000
        ? new BigDecimal(value).round(new MathContext(2)).stripTrailingZeros().toPlainString()
        : String.format(Locale.ROOT, "%.0e", value);
  }

  /** A logarithmic axis from {@code low} at pixel {@code from} to {@code high} at {@code to}. */
  private record Axis(double low, double high, double from, double to) {
    static Axis of(List<Double> values, double from, double to) {
      double low = values.stream().mapToDouble(v -> v).min().orElseThrow();
      double high = values.stream().mapToDouble(v -> v).max().orElseThrow();
      return new Axis(low / 1.3, high * 1.3, from, to);
    }

    double at(double value) {
      return from + (to - from) * Math.log(value / low) / Math.log(high / low);
    }

    List<Double> ticks() {
      List<Double> ticks = new ArrayList<>();
      boolean dense = Math.log10(high / low) < 2;
      for (int power = (int) Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
        for (double step : dense ? new double[] {1, 2, 5} : new double[] {1}) {
          double tick = step * Math.pow(10, power);
          if (tick >= low && tick <= high) {
            ticks.add(tick);
          }
        }
      }
      return ticks;
    }
  }
}
