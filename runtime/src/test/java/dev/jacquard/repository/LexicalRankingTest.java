package dev.jacquard.repository;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LexicalRankingTest {
  private static List<RankedFile> rank(Path folder, String question) {
    LexicalRanking ranking = new LexicalRanking(question);
    new RepositoryReader(1 << 20).read(folder, ranking);
    return ranking.rank();
  }

  @Test
  void identifiersAreSplitAndLoseTheirEndings() {
    List<String> terms = new ArrayList<>();
    IdentifierTerms.of(
        "How are PagedKvCache, HTTPServer and max_rows2 used?", (term, _, _) -> terms.add(term));
    assertEquals(
        List.of(
            "pag",
            "kv",
            "cach",
            "pagedkvcach",
            "http",
            "server",
            "httpserver",
            "max",
            "rows2",
            "maxrows2"),
        terms);
    assertEquals(List.of("page"), new LexicalRanking("what is a page, and pages?").terms());
    for (String words :
        List.of("share shares shared sharing", "map maps mapped mapping", "call called", "pass")) {
      List<String> stems = new ArrayList<>();
      IdentifierTerms.of(words, (term, _, _) -> stems.add(term));
      assertEquals(1, stems.stream().distinct().count(), stems.toString());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "How does the paged KV cache share pages? | PagedKvCache.java",
        "Where are tokens of SentencePiece merged? | SentencePieceTokenizer.java",
        "Which git ignore rules are read? | IgnoreRules.java",
        "How is a GGUF header checked? | GgufHeader.java",
        "What does the sampler do with temperature and top_p? | Sampler.java",
        "What is tested about placing stored files? | PlacingTest.java",
      })
  void questionsAboutThisProjectFindTheirFile(String question, String file) {
    List<String> best =
        rank(TestData.project(), question).stream().limit(3).map(r -> r.file().path()).toList();
    assertTrue(best.stream().anyMatch(path -> path.endsWith("/" + file)), best.toString());
  }

  @Test
  void importsPassOnAShare(@TempDir Path folder) throws IOException {
    Files.writeString(folder.resolve("Loom.java"), "package a; class Loom { int shuttle; }\n");
    Files.writeString(
        folder.resolve("User.java"), "package b; import a.Loom; class User { int x; }\n");
    Files.writeString(folder.resolve("Other.java"), "package c; class Other { int y; }\n");
    List<RankedFile> ranked = rank(folder, "Where is the shuttle?");
    assertEquals(
        List.of("Loom.java", "User.java", "Other.java"),
        ranked.stream().map(r -> r.file().path()).toList());
    assertEquals("Loom.java", ranked.get(1).neighbour());
    assertEquals(0.2 * ranked.get(0).score(), ranked.get(1).score(), 1e-12);
    assertEquals(0, ranked.get(2).score());
    assertEquals("shuttle", ranked.get(0).symbols().getFirst().symbol().name());
  }

  @Test
  void whatIsTestedComesBeforeItsTests(@TempDir Path folder) throws IOException {
    for (String path : List.of("src/main/java/Loom.java", "src/test/java/LoomTest.java")) {
      Files.createDirectories(folder.resolve(path).getParent());
    }
    Files.writeString(
        folder.resolve("src/main/java/Loom.java"), "class Loom { void shuttle() {} }\n");
    Files.writeString(
        folder.resolve("src/test/java/LoomTest.java"),
        "class LoomTest { void shuttleMoves() { shuttle(); } void shuttleRests() {} }\n");
    assertEquals(
        "src/main/java/Loom.java",
        rank(folder, "Where is the shuttle of a loom?").getFirst().file().path());
    assertEquals(
        "src/test/java/LoomTest.java",
        rank(folder, "Is the shuttle of the loom tested?").getFirst().file().path());
  }

  @Test
  void withoutAHitWhatIntroducesTheProjectComesFirst(@TempDir Path folder) throws IOException {
    List<String> order =
        List.of(
            "README.md",
            "docs/guide.md",
            "App.java",
            "src/main/java/test/Deep.java",
            "a.json",
            "src/test/java/ATest.java");
    for (String path : order) {
      Files.createDirectories(folder.resolve(path).getParent());
      Files.writeString(folder.resolve(path), "nothing\n");
    }
    assertEquals(
        order, rank(folder, "Where is the shuttle?").stream().map(r -> r.file().path()).toList());
  }
}
