package dev.jacquard.repository;

import dev.jacquard.repository.RankedFile.RankedSymbol;
import dev.jacquard.repository.Symbol.Kind;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Ranks the files of a repository by the words of a question: BM25 (Robertson and Zaragoza, The
 * Probabilistic Relevance Framework, 2009) over identifiers and their parts, where a term in a file
 * name or in the name of a symbol counts several times. A file that imports a good one, or is
 * imported by it, gets a share of its score, and a test gets half of its own, unless the question
 * speaks of tests. Nothing is learned and nothing is stored: only terms of the question are
 * counted, while the repository is read. Not safe for several threads.
 */
public final class LexicalRanking implements RepositoryReader.Listener {
  private static final double K1 = 1.2;
  private static final double B = 0.75;
  private static final int NAME_WEIGHT = 4;
  private static final int FILE_NAME_WEIGHT = 12;
  private static final int FOLDER_WEIGHT = 3;

  /** What an import is worth. */
  private static final double NEIGHBOUR_SHARE = 0.2;

  /** What a test is worth beside what it tests: both have the same words. */
  private static final double TEST_SHARE = 0.5;

  /** And where the question speaks of tests. */
  private static final double ASKED_TEST_SHARE = 1.5;

  private static final Set<String> WORDS_OF_TESTS =
      Set.of("test", "tests", "tested", "testing", "junit", "assertion", "assertions");

  private static final class Document {
    final RepositoryFile file;
    final FileRole role;
    final int[] counts;
    final List<Unit> units = new ArrayList<>();
    final BitSet inName = new BitSet();
    int nameParts = 1;
    int length;
    double score;

    Document(RepositoryFile file, int terms) {
      this.file = file;
      role = FileRole.of(file);
      counts = new int[terms];
    }
  }

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Unit(Symbol symbol, int[] counts) {}

  private final Map<String, Integer> terms = new HashMap<>();
  private final List<String> names = new ArrayList<>();
  private final List<Document> documents = new ArrayList<>();
  private final boolean asksForTests;

  /** A ranking by the words of a question. */
  public LexicalRanking(String question) {
    Set<String> words = new HashSet<>();
    IdentifierTerms.of(
        question,
        (stem, word, _) -> {
          words.add(word);
          if (terms.putIfAbsent(stem, terms.size()) == null) {
            names.add(word);
          }
        });
    asksForTests = words.stream().anyMatch(WORDS_OF_TESTS::contains);
  }

  /**
   * What it looks for, as the question has it: empty if the question has only words that all
   * questions have.
   */
  public List<String> terms() {
    return List.copyOf(names);
  }

  @Override
  public void file(RepositoryFile file, String text, int done, int total) {
    Document document = new Document(file, terms.size());
    String name = file.path().substring(file.path().lastIndexOf('/') + 1);
    count(name, document.counts, FILE_NAME_WEIGHT);
    countName(name.substring(0, Math.max(0, name.lastIndexOf('.'))), document);
    count(
        file.path().substring(0, file.path().length() - name.length()),
        document.counts,
        FOLDER_WEIGHT);
    List<Symbol> leaves = new ArrayList<>();
    names(file.symbols(), document.counts, leaves);
    countText(text, leaves, document);
    documents.add(document);
  }

  /** Which terms a file's name has, and how many parts it consists of. */
  private void countName(String name, Document document) {
    int[] parts = {0};
    IdentifierTerms.of(
        name,
        (term, _, _) -> {
          parts[0]++;
          Integer index = terms.get(term);
          if (index != null) {
            document.inName.set(index);
          }
        });
    document.nameParts = Math.max(1, parts[0] - 1); // the last term is the whole of several
  }

  private void count(String text, int[] counts, int weight) {
    IdentifierTerms.of(
        text,
        (term, _, _) -> {
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
        (term, _, position) -> {
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

  /**
   * All files that it was told of, best first. Ties, as among files that have nothing to do with
   * the question, in the order in which they introduce a project: READMEs, documentation, sources,
   * data, tests, those of outer folders first.
   */
  public List<RankedFile> rank() {
    double[] weights = weights();
    double average = documents.stream().mapToInt(d -> d.length).average().orElse(1);
    for (Document d : documents) {
      d.score = score(d.counts, weights, 1 - B + B * d.length / Math.max(1, average));
      d.score += nameScore(d, weights);
      if (d.role == FileRole.TEST) {
        d.score *= asksForTests ? ASKED_TEST_SHARE : TEST_SHARE;
      }
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
    List<Document> introducing = new ArrayList<>(documents);
    introducing.sort(
        Comparator.comparing((Document d) -> d.role)
            .thenComparing(d -> d.file.path().chars().filter(c -> c == '/').count())
            .thenComparing(d -> d.file.path()));
    return introducing.stream()
        .map(d -> ranked(d, best.get(d), weights))
        .sorted(Comparator.comparingDouble(RankedFile::score).reversed()) // stable
        .toList();
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

  /**
   * What it is worth that a question names a file in full: {@code IgnoreRules} is asked for by
   * "which ignore rules", {@code FileListing} is not by "which files".
   */
  private static double nameScore(Document d, double[] weights) {
    double weight = 0;
    int named = 0;
    for (int t = 0; t < weights.length; t++) {
      if (d.inName.get(t)) {
        weight += weights[t];
        named++;
      }
    }
    return weight * Math.min(1, (double) named / d.nameParts);
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
