package dev.jacquard.context;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.context.ContextNode.Kind;
import dev.jacquard.context.ContextTree.ResidentFile;
import dev.jacquard.repository.LexicalRanking;
import dev.jacquard.repository.RankedFile;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryReader;
import dev.jacquard.session.Jacquard;
import dev.jacquard.session.Model;
import dev.jacquard.session.ModelOptions;
import dev.jacquard.session.Session;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Context trees of a small repository, with the bundled model. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ContextTest {
  private static final String LOOM =
      """
      package a;

      /** Weaves. */
      class Loom {
        int threads = 40;

        /** Moves the shuttle. */
        void shuttle() {
          threads++;
        }

        void other() {
          %s
        }
      }
      """
          .formatted("threads = threads * 3 + 1;\n    ".repeat(60));

  private final Model model =
      Jacquard.open(TestData.bundledModel(), ModelOptions.DEFAULT.withThreads(1).withContext(2048));

  private final Tokenizer tokenizer = model.tokenizer();
  private final SectionCutter cutter = SectionCutter.of(model);
  private Path folder = Path.of("");

  @BeforeAll
  void begin() {
    assertTrue(model.context() >= 2048);
  }

  @AfterAll
  void close() {
    model.close();
  }

  @BeforeEach
  void write(@TempDir Path temporary) throws IOException {
    folder = temporary;
    Files.createDirectories(folder.resolve("lib"));
    Files.writeString(folder.resolve("lib/pom.xml"), "<project/>\n");
    Files.writeString(folder.resolve("lib/Loom.java"), LOOM);
    Files.writeString(folder.resolve("lib/User.java"), "import a.Loom;\nclass User {}\n");
    Files.writeString(folder.resolve("notes.md"), "The shuttle is fast.\n");
    Files.writeString(folder.resolve("far.txt"), "Nothing to see.\n");
  }

  private ContextTree plan(int budget, String... pins) {
    LexicalRanking ranking = new LexicalRanking("Who moves the shuttle?");
    Repository repository = new RepositoryReader(1 << 20).read(folder, ranking);
    List<RankedFile> ranked = ranking.rank();
    return new ContextPlanner(tokenizer, cutter, budget, Set.of(pins)).plan(repository, ranked);
  }

  private static List<String> names(ContextTree tree) {
    return tree.files().stream().map(file -> file.node().name()).toList();
  }

  private static IntStream ids(ResidentFile file) {
    return file.sections().stream().flatMapToInt(section -> IntStream.of(section.ids()));
  }

  private ContextNode find(ContextTree tree, String name) {
    return tree.root().all().filter(n -> n.name().equals(name)).findFirst().orElseThrow();
  }

  private String text(ContextTree tree, ContextNode node) {
    int[] ids = tree.files().stream().flatMapToInt(ContextTest::ids).toArray();
    return tokenizer.decode(java.util.Arrays.copyOfRange(ids, node.first(), node.end()));
  }

  @Test
  void whatHasToDoWithTheQuestionIsResidentTheBestFileLast() {
    ContextTree tree = plan(2000);
    List<String> names = names(tree);
    assertTrue(names.containsAll(List.of("lib/Loom.java", "lib/User.java", "notes.md")));
    assertFalse(names.contains("far.txt"));
    double best =
        tree.root()
            .all()
            .filter(n -> n.kind() == Kind.FILE)
            .mapToDouble(ContextNode::score)
            .max()
            .orElseThrow();
    assertEquals(best, tree.files().getLast().node().score());
    assertFalse(find(tree, "far.txt").resident());
    assertEquals(0, find(tree, "far.txt").tokens());
    int at = 0;
    for (ResidentFile file : tree.files()) {
      assertEquals(at, file.node().first());
      assertEquals(ids(file).count(), file.node().tokens());
      at = file.node().end();
    }
    assertEquals(at, tree.tokens());
    assertEquals(Kind.MODULE, tree.root().children().getFirst().kind());
  }

  @Test
  void symbolsKnowTheirTokensAndPages() {
    ContextTree tree = plan(2000);
    ContextNode shuttle = find(tree, "shuttle");
    String text = text(tree, shuttle);
    assertTrue(text.contains("Moves the shuttle") && text.contains("threads++"), text);
    assertFalse(text.contains("other"), text);
    ContextNode file = find(tree, "lib/Loom.java");
    ResidentFile resident =
        tree.files().stream().filter(f -> f.node().equals(file)).findFirst().orElseThrow();
    List<Integer> pages = resident.pages(shuttle);
    assertTrue(pages.getFirst() <= shuttle.first() && pages.getLast() + 16 >= shuttle.end());
    assertTrue(pages.stream().allMatch(page -> (page - file.first()) % 16 == 0));
    assertEquals((file.tokens() + 15) / 16, resident.pages(file).size());
  }

  @Test
  void ofAFileThatDoesNotFitTheBestSymbolsAreTaken() {
    ContextTree tree = plan(150, "Loom.java");
    ResidentFile loom = tree.files().getLast();
    String text = tokenizer.decode(ids(loom).toArray());
    assertFalse(loom.whole());
    assertTrue(text.startsWith("// lib/Loom.java\n"), text);
    assertTrue(text.contains("void shuttle()"), text);
    assertFalse(text.contains("void other()"), text);
    assertTrue(tree.tokens() <= 150);
  }

  @Test
  void pinsComeFirstAndAreMarked() {
    ContextTree tree = plan(2000, "far.txt", "shuttle");
    assertTrue(names(tree).contains("far.txt"));
    assertTrue(find(tree, "far.txt").pinned());
    assertTrue(find(tree, "shuttle").pinned());
    assertFalse(find(tree, "lib/Loom.java").pinned());
  }

  @Test
  void filesEditedSinceTheyWereListedAreToldNotPlaced() throws IOException {
    LexicalRanking ranking = new LexicalRanking("Who moves the shuttle?");
    Repository repository = new RepositoryReader(1 << 20).read(folder, ranking);
    Files.writeString(folder.resolve("notes.md"), "The shuttle is slow.\n");
    ContextTree tree =
        new ContextPlanner(tokenizer, cutter, 2000, Set.of()).plan(repository, ranking.rank());
    assertFalse(names(tree).contains("notes.md"));
    assertEquals(1, tree.unread().size());
  }

  @Test
  void aSessionIsFedWithAllFilesAndAnswersAsIfTheyWereAPrompt() {
    ContextTree tree = plan(2000);
    int[] ids = tree.files().stream().flatMapToInt(ContextTest::ids).toArray();
    int[] question = tokenizer.encode("\n// Answer:", Tokenizer.Options.PLAIN);
    float[][] logits = new float[2][];
    try (Session fed = model.newSession();
        Session plain = model.newSession()) {
      ContextFeeder.Fed result =
          new ContextFeeder(model, null, Session.RECOMPUTED)
              .feed(fed, tree, (done, total) -> assertTrue(done <= total));
      assertEquals(new ContextFeeder.Fed(ids.length, 0), result);
      assertEquals(ids.length, fed.position());
      fed.evaluate(question, 1, (_, values) -> logits[0] = values.clone());
      plain.evaluate(ids, 0, (_, _) -> {});
      plain.evaluate(question, 1, (_, values) -> logits[1] = values.clone());
    }
    // Where pages begin is no matter of dense attention.
    assertArrayEquals(logits[1], logits[0], 1e-4f);
  }
}
