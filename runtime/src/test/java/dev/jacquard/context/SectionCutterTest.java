package dev.jacquard.context;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryReader;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SectionCutterTest {
  private static final int LIMIT = 128;

  private final Tokenizer tokenizer;
  @TempDir private Path folder = Path.of("");

  SectionCutterTest() {
    try (ModelFile file = ModelFile.open(TestData.bundledModel())) {
      tokenizer = Tokenizers.of(file.metadata());
    }
  }

  private List<FileSection> cut(String name, String text) throws IOException {
    Files.writeString(folder.resolve(name), text);
    Repository repository =
        new RepositoryReader(1 << 20).read(folder, (file, content, done, total) -> {});
    return new SectionCutter(tokenizer, LIMIT)
        .cut(
            repository.files().stream()
                .filter(file -> file.path().equals(name))
                .findFirst()
                .orElseThrow(),
            text);
  }

  /** Sections follow on each other, have all of the text, and are about as short as they must. */
  private void assertWhole(String text, List<FileSection> sections) {
    int at = 0;
    for (FileSection section : sections) {
      FileSection.Span span = section.spans().getFirst();
      assertEquals(at, span.start());
      String body = section.text().substring(span.at());
      String part = text.substring(span.start(), span.end());
      assertEquals(part.endsWith("\n") ? part : part + "\n", body);
      assertTrue(section.ids().length <= LIMIT * 5 / 4, section.text());
      assertEquals(section.text(), tokenizer.decode(section.ids()));
      at = span.end();
    }
    assertEquals(text.length(), at);
  }

  private static String methods(int from, int to) {
    return String.join(
        "",
        IntStream.range(from, to)
            .mapToObj(i -> "  int m%d() {\n    return %d;\n  }\n\n".formatted(i, i))
            .toList());
  }

  @Test
  void aShortFileIsOneSection() throws IOException {
    String text = "class A {}";
    List<FileSection> sections = cut("A.java", text);
    assertEquals("// A.java\nclass A {}\n", sections.getFirst().text());
    assertEquals(1, sections.size());
    assertEquals(List.of(), cut("Empty.java", ""));
  }

  @Test
  void aLongFileIsCutBetweenSymbolsAndPartsSayWhereTheyBegin() throws IOException {
    String text = "package p;\n\nclass A {\n" + methods(0, 40) + "}\n\nclass B {}\n";
    List<FileSection> sections = cut("A.java", text);
    assertWhole(text, sections);
    assertTrue(sections.size() > 4, "sections: " + sections.size());
    for (FileSection section : sections.subList(1, sections.size())) {
      assertTrue(
          section.text().matches("(?s)// A.java, A\\.m\\d+\n\\s*int m\\d+\\(\\).*"),
          section.text());
    }
    // An edit behind a section leaves its tokens as they are.
    List<FileSection> edited = cut("A.java", text.replace("return 39", "return 40"));
    assertEquals(
        sections.subList(0, sections.size() - 1).stream().map(FileSection::text).toList(),
        edited.subList(0, edited.size() - 1).stream().map(FileSection::text).toList());
  }

  @ParameterizedTest
  @ValueSource(strings = {"a line of words\n", "words without an end ", "\uD83D\uDE00", "\n", "x"})
  void textsWithoutSymbolsAreCutBetweenLinesOrCharacters(String unit) throws IOException {
    String text = unit.repeat(4000 / unit.length());
    List<FileSection> sections = cut("notes.txt", text);
    assertWhole(text, sections);
    if (text.contains("\n")) {
      sections.forEach(section -> assertTrue(section.text().endsWith("\n")));
    }
  }
}
