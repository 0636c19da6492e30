package dev.jacquard.repository;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a file is there for, by its path and language; in the order in which files introduce a
 * project to somebody who knows nothing of it.
 */
enum FileRole {
  /** Says what the project is. */
  README,
  /** Text for people. */
  DOCUMENTATION,
  /** What the project consists of. */
  SOURCE,
  /** Data, settings and other texts. */
  DATA,
  /** Tests what the project consists of. */
  TEST;

  private static final Set<String> TEST_FOLDERS =
      Set.of("test", "tests", "testing", "__tests__", "spec", "specs", "testdata", "fixtures");

  /** Names that say that a file tests: of JUnit, pytest, Go, JavaScript and their kin. */
  private static final Pattern TEST_NAME =
      Pattern.compile("(.*(Test|Tests|TestCase|IT|Spec)\\.\\w+|test_.*|.*[._-](test|spec)\\.\\w+)");

  /** The role of a file. */
  static FileRole of(RepositoryFile file) {
    List<String> path = List.of(file.path().split("/"));
    String name = path.getLast();
    if (isTest(path)) {
      return TEST;
    }
    if (name.toUpperCase(Locale.ROOT).startsWith("README")) {
      return README;
    }
    return switch (file.language()) {
      case MARKDOWN -> DOCUMENTATION;
      case XML, JSON, YAML, SETTINGS, TEXT -> DATA;
      case JAVA, KOTLIN, SCALA, GROOVY, C, CPP, C_SHARP, GO, RUST, PYTHON, JAVASCRIPT, TYPESCRIPT ->
          SOURCE;
      case RUBY, PHP, SWIFT, SHELL, SQL -> SOURCE;
    };
  }

  /** Of a path below {@code main}, folders are names of packages. */
  private static boolean isTest(List<String> path) {
    return TEST_NAME.matcher(path.getLast()).matches()
        || path.subList(0, path.size() - 1).stream()
            .takeWhile(folder -> !folder.equals("main"))
            .anyMatch(TEST_FOLDERS::contains);
  }
}
