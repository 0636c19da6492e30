package dev.jacquard.cli;

import dev.jacquard.evaluation.Svg;
import java.util.List;

/** An HTML page, well-formed XML, that loads nothing. */
final class HtmlPage {
  private static final String STYLE =
      "body{font:14px sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#212529}"
          + "table{border-collapse:collapse;margin:1em 0}"
          + "td,th{padding:3px 10px;border-bottom:1px solid #dee2e6;text-align:right}"
          + "td:first-child,th:first-child{text-align:left}svg{max-width:100%}";

  private final StringBuilder page = new StringBuilder();

  HtmlPage(String title) {
    page.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.append("<title>").append(Svg.escape(title)).append("</title>\n");
    page.append("<style>").append(STYLE).append("</style>\n</head>\n<body>\n");
  }

  void heading(int level, String text) {
    page.append("<h%d>%s</h%d>\n".formatted(level, Svg.escape(text), level));
  }

  void paragraph(String text) {
    page.append("<p>").append(Svg.escape(text)).append("</p>\n");
  }

  /** The first row is the head. */
  void table(List<List<String>> rows) {
    page.append("<table>\n");
    for (int i = 0; i < rows.size(); i++) {
      String cell = i == 0 ? "th" : "td";
      page.append("<tr>");
      for (String text : rows.get(i)) {
        page.append("<%s>%s</%s>".formatted(cell, Svg.escape(text), cell));
      }
      page.append("</tr>\n");
    }
    page.append("</table>\n");
  }

  /** A plot, or other markup. */
  void append(String markup) {
    page.append(markup);
  }

  /** The whole page. */
  String finish() {
    return page.append("</body>\n</html>\n").toString();
  }
}
