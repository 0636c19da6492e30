package dev.jacquard.context;

import dev.jacquard.context.ContextNode.Kind;
import dev.jacquard.context.ContextTree.ResidentFile;
import dev.jacquard.context.FileSection.Span;
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
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Chooses what of a repository a context holds: what is pinned, then whole files by descending
 * score as long as they fit; of a file that does not fit, its best sections, or, if none fits, its
 * best symbols. Files without a hit are left out, unless none has one.
 */
public final class ContextPlanner {
  /** Less room is not worth a part of a file. */
  private static final int LEAST_PART = 64;

  /** Score of what is pinned: more than any question gives. */
  private static final double PINNED = 1e6;

  /** What is read of a file. */
  private record Content(List<FileSection> sections, boolean whole) {
    int tokens() {
      return sections.stream().mapToInt(section -> section.ids().length).sum();
    }
  }

  private record Chosen(RankedFile ranked, Content content) {}

  private final Tokenizer tokenizer;
  private final SectionCutter cutter;
  private final int budget;
  private final Set<String> pins;
  private final List<String> unread = new ArrayList<>();

  /**
   * A planner.
   *
   * @param cutter cuts files as they were when they were stored
   * @param budget most tokens of all files
   * @param pins names of symbols, or ends of paths, that are resident first and always read closely
   */
  public ContextPlanner(Tokenizer tokenizer, SectionCutter cutter, int budget, Set<String> pins) {
    this.tokenizer = tokenizer;
    this.cutter = cutter;
    this.budget = budget;
    this.pins = Set.copyOf(pins);
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
      Content content = content(repository, ranked, left);
      if (content.tokens() > 0) {
        chosen.add(new Chosen(ranked, content));
        left -= content.tokens();
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

  private Content content(Repository repository, RankedFile ranked, int room) {
    String text;
    try {
      text = repository.text(ranked.file());
    } catch (RepositoryException e) {
      unread.add(e.getMessage());
      return new Content(List.of(), false);
    }
    Content whole = new Content(cutter.cut(ranked.file(), text), true);
    if (whole.tokens() <= room) {
      return whole;
    }
    Content best = best(ranked, whole.sections(), room);
    return best.sections().isEmpty() ? parts(ranked, text, room) : best;
  }

  /** The best sections of a file that fit, in the order of the file. */
  private Content best(RankedFile ranked, List<FileSection> sections, int room) {
    IdentityHashMap<FileSection, Double> scores = new IdentityHashMap<>();
    for (RankedSymbol candidate : pinnedFirst(ranked)) {
      sections.stream()
          .filter(section -> section.has(candidate.symbol().start()))
          .forEach(section -> scores.merge(section, candidate.score(), Double::sum));
    }
    List<FileSection> order = new ArrayList<>(scores.keySet());
    order.sort(
        Comparator.comparingDouble((FileSection section) -> -scores.getOrDefault(section, 0.0))
            .thenComparing(sections::indexOf));
    List<FileSection> kept = new ArrayList<>();
    int left = room;
    for (FileSection section : order) {
      if (section.ids().length <= left) {
        kept.add(section);
        left -= section.ids().length;
      }
    }
    kept.sort(Comparator.comparing(sections::indexOf));
    return new Content(kept, false);
  }

  /** The best symbols of a file that fit, in the order of the file, as one section. */
  private Content parts(RankedFile ranked, String text, int room) {
    String header = SectionCutter.header(ranked.file().path(), "");
    List<Symbol> kept = new ArrayList<>();
    int left = room - tokens(header);
    for (RankedSymbol candidate : pinnedFirst(ranked)) {
      int size = tokens(part(text, candidate.symbol()));
      if (size <= left) {
        kept.add(candidate.symbol());
        left -= size;
      }
    }
    kept.sort(Comparator.comparingInt(Symbol::start));
    StringBuilder joined = new StringBuilder(header);
    List<Span> spans = new ArrayList<>();
    for (Symbol symbol : kept) {
      spans.add(new Span(symbol.start(), symbol.end(), joined.length()));
      joined.append(part(text, symbol));
    }
    // Joined texts may take a token more or less than their parts.
    int[] ids = tokenizer.encode(joined.toString(), Tokenizer.Options.PLAIN);
    return kept.isEmpty() || ids.length > room
        ? new Content(List.of(), false)
        : new Content(List.of(new FileSection(joined.toString(), spans, ids)), false);
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
        found.add(new RankedSymbol(symbol, PINNED));
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
        files.add(new ResidentFile(node, c.content().sections(), c.content().whole(), why(c)));
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
    Content content = chosen.content();
    RankedFile ranked = chosen.ranked();
    Map<String, Double> scores = new HashMap<>();
    ranked.symbols().forEach(s -> scores.merge(s.symbol().name(), s.score(), Math::max));
    ResidentText text = new ResidentText(content.sections(), first, tokenizer);
    return new ContextNode(
        Kind.FILE,
        ranked.file().path(),
        first,
        first + content.tokens(),
        content.whole(),
        isPinned(ranked.file().path(), pins),
        ranked.score(),
        symbols(ranked.file().symbols(), text, scores));
  }

  /** Nodes of the symbols that begin and end in the context; of others, what they contain. */
  private List<ContextNode> symbols(
      List<Symbol> symbols, ResidentText text, Map<String, Double> scores) {
    List<ContextNode> nodes = new ArrayList<>();
    for (Symbol symbol : symbols) {
      if (symbol.start() == symbol.end()) {
        continue;
      }
      int first = text.token(symbol.start());
      List<ContextNode> children = symbols(symbol.children(), text, scores);
      int last = text.token(symbol.end() - 1);
      if (first < 0 || last < 0) {
        nodes.addAll(children);
        continue;
      }
      nodes.add(
          new ContextNode(
              Kind.SYMBOL,
              symbol.name(),
              first,
              last + 1,
              text.has(symbol.start(), symbol.end()),
              isPinned(symbol, pins),
              scores.getOrDefault(symbol.name(), 0.0),
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
