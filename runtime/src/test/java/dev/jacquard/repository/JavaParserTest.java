package dev.jacquard.repository;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.repository.Symbol.Kind;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class JavaParserTest {
  private final JavaParser parser = new JavaParser();

  @AfterEach
  void close() {
    parser.close();
  }

  private Outline parse(String text) {
    return parser.parse(List.of(text)).getFirst();
  }

  private static List<String> describe(List<Symbol> symbols, String text) {
    List<String> lines = new ArrayList<>();
    for (Symbol s : symbols) {
      lines.add(
          s.kind()
              + " "
              + s.name()
              + " "
              + s.firstLine()
              + "-"
              + s.lastLine()
              + " "
              + text.substring(s.start(), s.end()).strip().lines().findFirst().orElse(""));
      lines.addAll(describe(s.children(), text));
    }
    return lines;
  }

  @Test
  void symbolsHaveNamesRangesAndTheirComments() {
    String text =
        """
        /* Licence. */
        package a.b;

        import static a.b.C.d;
        import java.util.*;
        import java.util.List;

        /** A type. */
        @Deprecated
        public record Point(int x, int y) {
          static int first, second = 1; // of both

          // Checks
          // twice.
          Point {
            if (x < 0) throw new IllegalArgumentException();
          }

          Point(int x) { this(x, 0); }

          /** Sum. */
          int sum() { return x + y; }

          enum Side {
            LEFT, RIGHT { @Override int side() { return 1; } };
            int side() { return 0; }
          }

          @interface Mark { int value() default 1; }
        }

        interface Last<T extends Number> { T get(); }
        """;
    Outline outline = parse(text);
    assertEquals(List.of("a.b.C", "java.util", "java.util.List"), outline.imports());
    assertEquals(
        List.of(
            "PACKAGE a.b 1-2 /* Licence. */",
            "TYPE Point 8-30 /** A type. */",
            "FIELD x 10-10 int x",
            "FIELD y 10-10 int y",
            "FIELD first 11-11 static int first,",
            "FIELD second 11-11 second = 1;",
            "CONSTRUCTOR Point 13-17 // Checks",
            "CONSTRUCTOR Point 19-19 Point(int x) { this(x, 0); }",
            "METHOD sum 21-22 /** Sum. */",
            "TYPE Side 24-27 enum Side {",
            "FIELD LEFT 25-25 LEFT",
            "FIELD RIGHT 25-25 RIGHT { @Override int side() { return 1; } }",
            "METHOD side 26-26 int side() { return 0; }",
            "TYPE Mark 29-29 @interface Mark { int value() default 1; }",
            "METHOD value 29-29 int value() default 1;",
            "TYPE Last 32-32 interface Last<T extends Number> { T get(); }",
            "METHOD get 32-32 T get();"),
        describe(outline.symbols(), text));
  }

  @Test
  void brokenSourcesGiveWhatCanBeMadeOut() {
    List<String> names = new ArrayList<>();
    String text =
        "class A {\n  int good() { return 1; }\n  int bad( { return ; }\n  void last() {}\n";
    for (String line : describe(parse(text).symbols(), text)) {
      names.add(line.substring(line.indexOf(' ') + 1, line.indexOf(' ', line.indexOf(' ') + 1)));
    }
    assertTrue(names.containsAll(List.of("A", "good")), names.toString());
    for (String broken :
        List.of(
            "}}}}",
            "class",
            "\"\"\"",
            "\u0000\u0001",
            "/* open",
            "class A { int x = ' ; }",
            "\\u00")) {
      List<Symbol> symbols = parse(broken).symbols();
      for (Symbol s : symbols) {
        assertTrue(s.end() <= broken.length(), broken);
      }
      assertTrue(!symbols.isEmpty(), broken);
    }
  }

  @Test
  void whatIsNestedTooDeeplyIsCutIntoBlocksAndItsNeighboursAreNot() {
    String deep = "class D {\n  void f() " + "{".repeat(20_000) + "}".repeat(20_000) + "\n}\n";
    String sum = "class S {\n  String x = \"\"" + " + \"a\"".repeat(50_000) + ";\n}\n";
    try (JavaParser small = new JavaParser(256 << 10)) {
      List<Outline> outlines = small.parse(List.of("class A {}", deep, sum));
      assertEquals(
          List.of(Kind.TYPE, Kind.BLOCK, Kind.TYPE),
          outlines.stream().map(o -> o.symbols().getFirst().kind()).toList());
    }
    // The usual stack is large enough for what generators write.
    Symbol type = parse(deep).symbols().getFirst();
    assertEquals("f", type.children().getFirst().name());
  }

  @Test
  void symbolsAreNestedSoDeeplyAtMost() {
    List<Symbol> nested = parse("class D {".repeat(1000) + "int x;" + "}".repeat(1000)).symbols();
    int depth = 0;
    for (; !nested.isEmpty(); nested = nested.getFirst().children()) {
      depth++;
    }
    assertEquals(33, depth);
  }

  /** Comments, text blocks, strings and characters: what could look like a declaration. */
  private static final Pattern NO_CODE =
      Pattern.compile(
          "(?s)//[^\\n"
              + "]*|/\\*.*?\\*/|\"\"\".*?\"\"\"|\"(?:\\\\.|[^\"\\\\])*\"|'(?:\\\\.|[^'\\\\])+'");

  private static final Pattern TYPE =
      Pattern.compile(
          "(?m)^ *(?:(?:public|private|protected|static|final|abstract|sealed|non-sealed) )*"
              + "(?:class|interface|enum|record|@interface) \\w+");

  /** In formatted code, a member of a top-level class with a name before a bracket. */
  private static final Pattern METHOD =
      Pattern.compile("(?m)^  (?![} ]|@(?!Nullable ))[^=\\n(]*\\w\\(");

  @Test
  void countsOfThisProjectsSources() throws IOException {
    List<Path> files;
    try (Stream<Path> walk = Files.walk(TestData.project().resolve("runtime/src/main/java"))) {
      files = walk.filter(f -> f.toString().endsWith(".java")).sorted().toList();
    }
    assertTrue(files.size() > 80);
    List<String> texts = new ArrayList<>();
    for (Path file : files) {
      texts.add(Files.readString(file));
    }
    List<Outline> outlines = parser.parse(texts);
    int compared = 0;
    for (int i = 0; i < texts.size(); i++) {
      String code = NO_CODE.matcher(texts.get(i)).replaceAll("\"\"");
      List<Symbol> all = flat(outlines.get(i).symbols());
      long types = TYPE.matcher(code).results().count();
      String file = files.get(i).toString();
      assertEquals(
          types, all.stream().filter(s -> s.kind() == Kind.TYPE).count() - modules(file), file);
      if (types == 1 && !code.contains(" enum ") && !code.contains("record ")) {
        compared++;
        assertEquals(
            METHOD.matcher(code).results().count(),
            all.stream()
                .filter(s -> s.kind() == Kind.METHOD || s.kind() == Kind.CONSTRUCTOR)
                .count(),
            file);
      }
    }
    assertTrue(compared > 40, compared + " files");
  }

  private static int modules(String file) {
    return file.endsWith("module-info.java") ? 1 : 0;
  }

  private static List<Symbol> flat(List<Symbol> symbols) {
    return symbols.stream()
        .flatMap(s -> Stream.concat(Stream.of(s), flat(s.children()).stream()))
        .toList();
  }
}
