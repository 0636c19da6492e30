package dev.jacquard.context;

import dev.jacquard.context.FileSection.Span;
import dev.jacquard.repository.RepositoryFile;
import dev.jacquard.repository.Symbol;
import dev.jacquard.session.Model;
import dev.jacquard.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/**
 * Cuts files into {@linkplain FileSection sections} that a model can read at once, at the borders
 * of symbols: what {@code index} stores and {@code ask} looks for. Where they lie depends on the
 * file and the model only, not on the context that a session has.
 */
public final class SectionCutter {
  /** An edit makes a whole section stale, and what is cut apart does not see each other. */
  private static final int MOST = 1024;

  /** What is left at the end and has less than this share of a section goes with the one before. */
  private static final int LEAST_SHARE = 8;

  private static final String CONTINUED = "continued";

  private record Piece(int start, int end, int tokens) {}

  private final Tokenizer tokenizer;
  private final int limit;

  /**
   * A cutter.
   *
   * @param limit most tokens of a section, about: its last lines and a long path may add to them
   */
  SectionCutter(Tokenizer tokenizer, int limit) {
    this.tokenizer = tokenizer;
    this.limit = limit;
  }

  /** The cutter for a model: sections take at most half of the context it was trained for. */
  public static SectionCutter of(Model model) {
    return new SectionCutter(model.tokenizer(), Math.min(MOST, Math.max(1, model.trained() / 2)));
  }

  /**
   * The sections of a file, in order; together they have all of it. None of an empty file.
   *
   * @param text the file's text
   */
  public List<FileSection> cut(RepositoryFile file, String text) {
    if (text.isEmpty()) {
      return List.of();
    }
    FileSection whole = section(header(file.path(), ""), text, 0, text.length());
    if (whole.ids().length <= limit) {
      return List.of(whole);
    }
    int reserved = tokens(header(file.path(), CONTINUED));
    int room = Math.max(limit / 2, limit - 2 * reserved);
    List<Piece> pieces = new ArrayList<>();
    collect(text, 0, text.length(), file.symbols(), room, pieces);
    List<FileSection> sections = new ArrayList<>();
    for (Piece joined : join(pieces, room)) {
      String name = joined.start() == 0 ? "" : name(file.symbols(), joined.start());
      sections.add(section(header(file.path(), name), text, joined.start(), joined.end()));
    }
    return sections;
  }

  /** The line before a section: the path, and where the section begins, if not with the file. */
  static String header(String path, String name) {
    return "// " + path + (name.isEmpty() ? "" : ", " + name) + "\n";
  }

  private FileSection section(String header, String text, int start, int end) {
    String body = text.substring(start, end);
    String all = header + body + (body.endsWith("\n") ? "" : "\n");
    int[] ids = tokenizer.encode(all, Tokenizer.Options.PLAIN);
    return new FileSection(all, List.of(new Span(start, end, header.length())), ids);
  }

  private int tokens(String text) {
    return tokenizer.encode(text, Tokenizer.Options.PLAIN).length;
  }

  /** Cuts a range until every piece has room, at the outermost symbols that begin inside. */
  private void collect(
      String text, int start, int end, List<Symbol> symbols, int room, List<Piece> pieces) {
    int tokens = tokens(text.substring(start, end));
    if (tokens <= room || end - start < 2) {
      pieces.add(new Piece(start, end, tokens));
      return;
    }
    List<Integer> borders = borders(symbols, start, end);
    if (borders.isEmpty()) {
      borders = List.of(middle(text, start, end));
    }
    int from = start;
    for (int border : borders) {
      collect(text, from, border, symbols, room, pieces);
      from = border;
    }
    collect(text, from, end, symbols, room, pieces);
  }

  /** Where symbols begin within a range, of the outermost level that has any there. */
  private static List<Integer> borders(List<Symbol> symbols, int start, int end) {
    List<Symbol> level = symbols;
    while (!level.isEmpty()) {
      List<Integer> borders =
          level.stream()
              .map(Symbol::start)
              .filter(at -> at > start && at < end)
              .distinct()
              .toList();
      if (!borders.isEmpty()) {
        return borders;
      }
      level =
          level.stream()
              .filter(symbol -> symbol.start() < end && symbol.end() > start)
              .flatMap(symbol -> symbol.children().stream())
              .toList();
    }
    return List.of();
  }

  /** The begin of a line, or of a character, near the middle of a range of two at least. */
  private static int middle(String text, int start, int end) {
    int middle = (start + end) >>> 1;
    int line = text.lastIndexOf('\n', middle - 1) + 1;
    if (line <= start) {
      line = text.indexOf('\n', middle) + 1;
    }
    if (line > start && line < end) {
      return line;
    }
    boolean split = Character.isLowSurrogate(text.charAt(middle)) && middle - 1 > start;
    return split ? middle - 1 : middle;
  }

  private List<Piece> join(List<Piece> pieces, int room) {
    List<Piece> joined = new ArrayList<>();
    for (Piece piece : pieces) {
      boolean rest = piece.end() == pieces.getLast().end() && piece.tokens() < limit / LEAST_SHARE;
      if (!joined.isEmpty() && (rest || joined.getLast().tokens() + piece.tokens() <= room)) {
        Piece before = joined.removeLast();
        joined.add(new Piece(before.start(), piece.end(), before.tokens() + piece.tokens()));
      } else {
        joined.add(piece);
      }
    }
    return joined;
  }

  /** The symbols that hold a position, from the outside, with dots. */
  private static String name(List<Symbol> symbols, int position) {
    for (Symbol symbol : symbols) {
      boolean named = symbol.kind() != Symbol.Kind.BLOCK && symbol.kind() != Symbol.Kind.PACKAGE;
      if (named && symbol.start() <= position && position < symbol.end()) {
        String inside = symbol.children().isEmpty() ? "" : name(symbol.children(), position);
        return inside.isEmpty() || inside.equals(CONTINUED)
            ? symbol.name()
            : symbol.name() + "." + inside;
      }
    }
    return CONTINUED;
  }
}
