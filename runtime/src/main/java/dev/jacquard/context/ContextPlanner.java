package dev.jacquard.context;

import dev.jacquard.context.ContextNode.Kind;
import dev.jacquard.context.ContextTree.ResidentFile;
import dev.jacquard.repository.RankedFile;
import dev.jacquard.repository.RankedFile.RankedSymbol;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryException;
import dev.jacquard.repository.RepositoryFile;
import dev.jacquard.repository.Symbol;
import dev.jacquard.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Chooses what of a repository a context holds: what is pinned, then whole files by descending
 * score as long as they fit; of a file that does not fit, its best symbols. Files without a hit are
 * left out, unless none has one.
 */
public final class ContextPlanner {
  /** Less room is not worth a part of a file. */
  private static final int LEAST_PART = 64;

  /** A file as text, with its line of the path, and where the symbols lie in it. */
  @SuppressWarnings("ArrayRecordComponent") // handed on to the session, which keeps it
  private record Assembled(String text, List<Symbol> symbols, int[] ids, boolean whole) {}

  private record Chosen(RankedFile ranked, Assembled content) {}

  private final Tokenizer tokenizer;
  private final int budget;
  private final Set<String> pins;
  private final List<String> unread = new ArrayList<>();

  /**
   * A planner.
   *
   * @param budget most tokens of all files
   * @param pins names of symbols, or ends of paths, that are resident first and always read closely
   */
  public ContextPlanner(Tokenizer tokenizer, int budget, Set<String> pins) {
    this.tokenizer = tokenizer;
    this.budget = budget;
    this.pins = Set.copyOf(pins);
  }

  /** The text of a file as a model reads it: a line with its path, then the file. */
  public static String text(RepositoryFile file, String text) {
    return "// " + file.path() + "\n" + text + (text.endsWith("\n") ? "" : "\n");
  }

  /**
   * The tokens of a whole file, as every context has them: what {@code index} stores and {@code
   * ask} looks for.
   */
  public static int[] ids(Tokenizer tokenizer, RepositoryFile file, String text) {
    return tokenizer.encode(text(file, text), Tokenizer.Options.PLAIN);
  }

  /**
   * Plans the context for a ranking of a repository's files.
   *
   * @param ranking all files, best first
   */
  public ContextTree plan(Repository repository, List<RankedFile> ranking) {
    unread.clear();
    boolean hits = ranking.stream().anyMatch(r -> r.score() > 0);
    List<RankedFile> order = new ArrayList<>(ranking);
    order.sort(Comparator.comparing(r -> !isPinned(r.file()))); // stable
    List<Chosen> chosen = new ArrayList<>();
    int left = budget;
    for (RankedFile ranked : order) {
      if (left < LEAST_PART
          || ranked.file().bytes() == 0
          || (hits && ranked.score() == 0 && !isPinned(ranked.file()))) {
        continue;
      }
      Assembled content = content(repository, ranked, left);
      if (content != null && content.ids().length > 0) {
        chosen.add(new Chosen(ranked, content));
        left -= content.ids().length;
      }
    }
    return tree(repository, ranking, chosen);
  }

  /** Whether a repository has something that a pin names. */
  public static boolean names(Repository repository, String pin) {
    return repository.files().stream().anyMatch(file -> isPinned(file, Set.of(pin)));
  }

  private boolean isPinned(RepositoryFile file) {
    return isPinned(file, pins);
  }

  private static boolean isPinned(RepositoryFile file, Set<String> pins) {
    return isPinned(file.path(), pins)
        || file.symbols().stream().anyMatch(symbol -> isPinnedWithin(symbol, pins));
  }

  private static boolean isPinned(String path, Set<String> pins) {
    return pins.stream().anyMatch(pin -> path.equals(pin) || path.endsWith("/" + pin));
  }

  private static boolean isPinnedWithin(Symbol symbol, Set<String> pins) {
    return isPinned(symbol, pins)
        || symbol.children().stream().anyMatch(child -> isPinnedWithin(child, pins));
  }

  private static boolean isPinned(Symbol symbol, Set<String> pins) {
    return symbol.kind() != Symbol.Kind.BLOCK && pins.contains(symbol.name());
  }

  private @Nullable Assembled content(Repository repository, RankedFile ranked, int room) {
    String text;
    try {
      text = repository.text(ranked.file());
    } catch (RepositoryException e) {
      unread.add(e.getMessage());
      return null;
    }
    String whole = text(ranked.file(), text);
    int[] ids = tokenizer.encode(whole, Tokenizer.Options.PLAIN);
    if (ids.length <= room) {
      int shift = whole.indexOf('\n') + 1;
      List<Symbol> symbols =
          ranked.file().symbols().stream().map(symbol -> moved(symbol, shift)).toList();
      return new Assembled(whole, symbols, ids, true);
    }
    return parts(ranked, text, room);
  }

  /** The best symbols of a file that fit, in the order of the file. */
  private @Nullable Assembled parts(RankedFile ranked, String text, int room) {
    List<Symbol> kept = new ArrayList<>();
    int left = room - tokens(text(ranked.file(), ""));
    for (RankedSymbol candidate : pinnedFirst(ranked)) {
      int size = tokens(part(text, candidate.symbol()));
      if (size <= left) {
        kept.add(candidate.symbol());
        left -= size;
      }
    }
    kept.sort(Comparator.comparingInt(Symbol::start));
    StringBuilder joined = new StringBuilder(text(ranked.file(), ""));
    List<Symbol> symbols = new ArrayList<>();
    for (Symbol symbol : kept) {
      symbols.add(moved(symbol, joined.length() - symbol.start()));
      joined.append(part(text, symbol));
    }
    // Joined texts may take a token more or less than their parts.
    int[] ids = tokenizer.encode(joined.toString(), Tokenizer.Options.PLAIN);
    return kept.isEmpty() || ids.length > room
        ? null
        : new Assembled(joined.toString(), symbols, ids, false);
  }

  private List<RankedSymbol> pinnedFirst(RankedFile ranked) {
    List<RankedSymbol> order = new ArrayList<>();
    collectPinned(ranked.file().symbols(), order);
    for (RankedSymbol candidate : ranked.symbols()) {
      Symbol symbol = candidate.symbol();
      if (order.stream().noneMatch(o -> overlaps(o.symbol(), symbol))) {
        order.add(candidate);
      }
    }
    return order;
  }

  private void collectPinned(List<Symbol> symbols, List<RankedSymbol> found) {
    for (Symbol symbol : symbols) {
      if (isPinned(symbol, pins)) {
        found.add(new RankedSymbol(symbol, 0));
      } else {
        collectPinned(symbol.children(), found);
      }
    }
  }

  private static boolean overlaps(Symbol a, Symbol b) {
    return a.start() < b.end() && b.start() < a.end();
  }

  private static String part(String text, Symbol symbol) {
    return text.substring(symbol.start(), symbol.end()) + "\n\n";
  }

  private int tokens(String text) {
    return tokenizer.encode(text, Tokenizer.Options.PLAIN).length;
  }

  private static Symbol moved(Symbol s, int by) {
    List<Symbol> children = s.children().stream().map(child -> moved(child, by)).toList();
    return new Symbol(
        s.kind(), s.name(), s.start() + by, s.end() + by, s.firstLine(), s.lastLine(), children);
  }

  /** Modules by their best resident file, files by their score, the best of all last. */
  private ContextTree tree(Repository repository, List<RankedFile> ranking, List<Chosen> chosen) {
    Map<String, List<Chosen>> modules = new LinkedHashMap<>();
    List<Chosen> worstFirst = new ArrayList<>(chosen);
    worstFirst.sort(Comparator.comparingDouble(c -> c.ranked().score()));
    for (Chosen c : worstFirst.reversed()) {
      modules.computeIfAbsent(c.ranked().file().module(), _ -> new ArrayList<>()).addFirst(c);
    }
    Map<String, List<ContextNode>> nodes = new LinkedHashMap<>();
    List<ResidentFile> files = new ArrayList<>();
    int at = 0;
    for (String module : List.copyOf(modules.keySet()).reversed()) {
      for (Chosen c : modules.getOrDefault(module, List.of())) {
        ContextNode node = node(c, at);
        at = node.end();
        nodes.computeIfAbsent(module, _ -> new ArrayList<>()).add(node);
        files.add(new ResidentFile(node, c.content().ids(), c.content().whole(), why(c)));
      }
    }
    Set<String> resident = new HashSet<>();
    chosen.forEach(c -> resident.add(c.ranked().file().path()));
    for (RankedFile r : ranking) {
      if (!resident.contains(r.file().path())) {
        nodes
            .computeIfAbsent(r.file().module(), _ -> new ArrayList<>())
            .add(absent(r.file().path(), r.score()));
      }
    }
    List<ContextNode> children = new ArrayList<>();
    nodes.forEach((module, inside) -> children.add(parent(Kind.MODULE, module, inside)));
    String name = String.valueOf(repository.root().getFileName());
    return new ContextTree(parent(Kind.REPOSITORY, name, children), files, unread);
  }

  private static ContextNode absent(String path, double score) {
    return new ContextNode(Kind.FILE, path, 0, 0, false, false, score, List.of());
  }

  private static ContextNode parent(Kind kind, String name, List<ContextNode> children) {
    int first =
        children.stream().filter(c -> c.tokens() > 0).mapToInt(ContextNode::first).min().orElse(0);
    int end = children.stream().mapToInt(ContextNode::end).max().orElse(0);
    boolean resident = children.stream().allMatch(ContextNode::resident);
    boolean pinned = !children.isEmpty() && children.stream().allMatch(ContextNode::pinned);
    double score = children.stream().mapToDouble(ContextNode::score).max().orElse(0);
    return new ContextNode(kind, name, first, end, resident, pinned, score, children);
  }

  private ContextNode node(Chosen chosen, int first) {
    Assembled content = chosen.content();
    RankedFile ranked = chosen.ranked();
    TokenOffsets offsets = new TokenOffsets(content.text(), content.ids(), tokenizer);
    Map<String, Double> scores = new HashMap<>();
    ranked.symbols().forEach(s -> scores.merge(s.symbol().name(), s.score(), Math::max));
    List<ContextNode> symbols =
        offsets.exact() ? symbols(content.symbols(), offsets, first, scores) : List.of();
    return new ContextNode(
        Kind.FILE,
        ranked.file().path(),
        first,
        first + content.ids().length,
        content.whole(),
        isPinned(ranked.file().path(), pins),
        ranked.score(),
        symbols);
  }

  private List<ContextNode> symbols(
      List<Symbol> symbols, TokenOffsets offsets, int first, Map<String, Double> scores) {
    List<ContextNode> nodes = new ArrayList<>();
    for (Symbol symbol : symbols) {
      int from = first + offsets.token(symbol.start());
      List<ContextNode> children = symbols(symbol.children(), offsets, first, scores);
      int end = first + offsets.token(symbol.end() - 1) + 1;
      double score = scores.getOrDefault(symbol.name(), 0.0);
      nodes.add(
          new ContextNode(
              Kind.SYMBOL,
              symbol.name(),
              from,
              end,
              true,
              isPinned(symbol, pins),
              score,
              children));
    }
    return nodes;
  }

  private String why(Chosen chosen) {
    RankedFile ranked = chosen.ranked();
    if (isPinned(ranked.file())) {
      return "pinned";
    }
    if (!ranked.neighbour().isEmpty()) {
      return "imports or is imported by " + ranked.neighbour();
    }
    return ranked.terms().isEmpty()
        ? "nothing matches"
        : String.format(Locale.ROOT, "%.1f: ", ranked.score()) + String.join(" ", ranked.terms());
  }
}
