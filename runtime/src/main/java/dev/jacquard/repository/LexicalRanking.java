package dev.jacquard.repository;

import dev.jacquard.repository.RankedFile.RankedSymbol;
import dev.jacquard.repository.Symbol.Kind;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Ranks the files of a repository by the words of a question: BM25 (Robertson and Zaragoza, The
 * Probabilistic Relevance Framework, 2009) over identifiers and their parts, where a term in a file
 * name or in the name of a symbol counts several times. A file that imports a good one, or is
 * imported by it, gets a share of its score. Nothing is learned and nothing is stored: only terms
 * of the question are counted, while the repository is read. Not safe for several threads.
 */
public final class LexicalRanking implements RepositoryReader.Listener {
  private static final double K1 = 1.2;
  private static final double B = 0.75;
  private static final int NAME_WEIGHT = 4;
  private static final int FILE_NAME_WEIGHT = 12;
  private static final int FOLDER_WEIGHT = 3;

  /** What an import is worth. */
  private static final double NEIGHBOUR_SHARE = 0.2;

  private static final class Document {
    final RepositoryFile file;
    final int[] counts;
    final List<Unit> units = new ArrayList<>();
    int length;
    double score;

    Document(RepositoryFile file, int terms) {
      this.file = file;
      counts = new int[terms];
    }
  }

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Unit(Symbol symbol, int[] counts) {}

  private final Map<String, Integer> terms = new HashMap<>();
  private final List<String> names = new ArrayList<>();
  private final List<Document> documents = new ArrayList<>();

  /** A ranking by the words of a question. */
  public LexicalRanking(String question) {
    IdentifierTerms.of(
        question,
        (term, _) -> {
          if (terms.putIfAbsent(term, terms.size()) == null) {
            names.add(term);
          }
        });
  }

  /** What it looks for: empty if the question has only words that all questions have. */
  public List<String> terms() {
    return List.copyOf(names);
  }

  @Override
  public void file(RepositoryFile file, String text, int done, int total) {
    Document document = new Document(file, terms.size());
    String name = file.path().substring(file.path().lastIndexOf('/') + 1);
    count(name, document.counts, FILE_NAME_WEIGHT);
    count(
        file.path().substring(0, file.path().length() - name.length()),
        document.counts,
        FOLDER_WEIGHT);
    List<Symbol> leaves = new ArrayList<>();
    names(file.symbols(), document.counts, leaves);
    countText(text, leaves, document);
    documents.add(document);
  }

  private void count(String text, int[] counts, int weight) {
    IdentifierTerms.of(
        text,
        (term, _) -> {
          Integer index = terms.get(term);
          if (index != null) {
            counts[index] += weight;
          }
        });
  }

  /** Counts the names of symbols, and collects those that have none inside. */
  private void names(List<Symbol> symbols, int[] counts, List<Symbol> leaves) {
    for (Symbol symbol : symbols) {
      if (symbol.kind() != Kind.BLOCK) {
        count(symbol.name(), counts, NAME_WEIGHT);
      }
      if (symbol.children().isEmpty()) {
        leaves.add(symbol);
      } else {
        names(symbol.children(), counts, leaves);
      }
    }
  }

  private void countText(String text, List<Symbol> leaves, Document document) {
    int[][] counts = new int[leaves.size()][];
    int[] leaf = {0};
    IdentifierTerms.of(
        text,
        (term, position) -> {
          document.length++;
          Integer index = terms.get(term);
          if (index == null) {
            return;
          }
          document.counts[index]++;
          while (leaf[0] < leaves.size() && leaves.get(leaf[0]).end() <= position) {
            leaf[0]++;
          }
          if (leaf[0] < leaves.size() && leaves.get(leaf[0]).start() <= position) {
            int[] inLeaf = counts[leaf[0]];
            if (inLeaf == null) {
              inLeaf = new int[terms.size()];
              counts[leaf[0]] = inLeaf;
            }
            inLeaf[index]++;
          }
        });
    for (int i = 0; i < counts.length; i++) {
      if (counts[i] != null) {
        count(leaves.get(i).name(), counts[i], NAME_WEIGHT);
        document.units.add(new Unit(leaves.get(i), counts[i]));
      }
    }
  }

  /** All files that it was told of, best first; ties in the order of their paths. */
  public List<RankedFile> rank() {
    double[] weights = weights();
    double average = documents.stream().mapToInt(d -> d.length).average().orElse(1);
    for (Document d : documents) {
      d.score = score(d.counts, weights, 1 - B + B * d.length / Math.max(1, average));
    }
    Map<String, Document> byName = byQualifiedName();
    Map<Document, Document> best = new HashMap<>();
    for (Document d : documents) {
      for (String imported : d.file.imports()) {
        Document other = declaring(imported, byName);
        if (other != null && other != d) {
          best.merge(d, other, LexicalRanking::better);
          best.merge(other, d, LexicalRanking::better);
        }
      }
    }
    List<RankedFile> ranked = new ArrayList<>();
    for (Document d : documents) {
      ranked.add(ranked(d, best.get(d), weights));
    }
    ranked.sort(
        Comparator.comparingDouble(RankedFile::score)
            .reversed()
            .thenComparing(r -> r.file().path()));
    return ranked;
  }

  /** Inverse document frequencies. */
  private double[] weights() {
    double[] weights = new double[terms.size()];
    for (int t = 0; t < weights.length; t++) {
      int term = t;
      long having = documents.stream().filter(d -> d.counts[term] > 0).count();
      weights[t] = Math.log(1 + (documents.size() - having + 0.5) / (having + 0.5));
    }
    return weights;
  }

  private static double score(int[] counts, double[] weights, double lengthFactor) {
    double score = 0;
    for (int t = 0; t < counts.length; t++) {
      score += weights[t] * counts[t] * (K1 + 1) / (counts[t] + K1 * lengthFactor);
    }
    return score;
  }

  private static Document better(Document a, Document b) {
    return b.score > a.score ? b : a;
  }

  private Map<String, Document> byQualifiedName() {
    Map<String, Document> declared = new HashMap<>();
    for (Document d : documents) {
      String prefix = "";
      for (Symbol symbol : d.file.symbols()) {
        if (symbol.kind() == Kind.PACKAGE) {
          prefix = symbol.name() + ".";
        } else if (symbol.kind() == Kind.TYPE) {
          declared.putIfAbsent(prefix + symbol.name(), d);
        }
      }
    }
    return declared;
  }

  /** The file with a type, or with the type around it. */
  private static @Nullable Document declaring(String imported, Map<String, Document> declared) {
    Document found = declared.get(imported);
    int dot = imported.lastIndexOf('.');
    return found != null || dot < 0 ? found : declared.get(imported.substring(0, dot));
  }

  private RankedFile ranked(Document d, @Nullable Document neighbour, double[] weights) {
    double share = neighbour == null ? 0 : NEIGHBOUR_SHARE * neighbour.score;
    List<String> found = new ArrayList<>();
    for (int t = 0; t < weights.length; t++) {
      if (d.counts[t] > 0) {
        found.add(names.get(t));
      }
    }
    found.sort(
        Comparator.comparingDouble((String name) -> weights[names.indexOf(name)]).reversed());
    List<RankedSymbol> symbols = new ArrayList<>();
    for (Unit unit : d.units) {
      symbols.add(new RankedSymbol(unit.symbol(), score(unit.counts(), weights, 1)));
    }
    symbols.sort(Comparator.comparingDouble(RankedSymbol::score).reversed());
    return new RankedFile(
        d.file,
        d.score + share,
        found,
        neighbour != null && share > d.score ? neighbour.file.path() : "",
        symbols);
  }
}
