package dev.jacquard.repository;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Repositories that git makes; what git itself lists is the truth. */
class GitRepositoryTest {
  @TempDir private Path temporary = Path.of("");
  private Path work = Path.of("");

  @BeforeEach
  void needsGit() throws IOException {
    try {
      work = Files.createDirectory(temporary.resolve("work")).toRealPath();
      git(work, "--version");
    } catch (IOException e) {
      TestData.skip("git cannot be started: " + e.getMessage());
    }
  }

  private String git(Path folder, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "git",
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.org",
                "-c",
                "protocol.file.allow=always",
                "-c",
                "core.excludesFile="));
    command.addAll(Arrays.asList(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().keySet().removeIf(name -> name.startsWith("GIT_"));
    Process process = builder.redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      assertEquals(0, process.waitFor(), () -> String.join(" ", command) + ": " + output);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    return output;
  }

  private void write(String path, String text) throws IOException {
    Path file = work.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private static Repository read(Path folder) {
    return new RepositoryReader(1 << 20).read(folder, (_, _, _, _) -> {});
  }

  private static List<String> paths(Path folder) {
    return read(folder).files().stream().map(RepositoryFile::path).toList();
  }

  private List<String> listed(Path folder) throws IOException {
    return git(folder, "ls-files", "-co", "--exclude-standard", "-z")
        .transform(s -> Pattern.compile("\0").splitAsStream(s).filter(p -> !p.isEmpty()))
        .distinct()
        .sorted()
        .toList();
  }

  @Test
  void theFilesAreThoseThatGitLists() throws IOException {
    git(work, "init", "-q");
    write(
        ".gitignore",
        """
        # comment
        *.log
        !important.log
        /top.txt
        build/
        docs/**/draft.md
        **/cache/
        a?c.txt
        [x-z]*.tmp
        [!a]1.dat
        [[:digit:]]*.num
        \\#literal
        \\!literal
        trailing.txt\\\s
        spaces.txt \s
        deep/**
        mid*le/file.txt
        foo/*
        !foo/keep/
        unclosed[
        c++.txt
        """);
    for (String path :
        List.of(
            "a.log",
            "important.log",
            "sub/b.log",
            "top.txt",
            "sub/top.txt",
            "build/x.txt",
            "sub/build/x.txt",
            "sub/buildfile",
            "docs/draft.md",
            "docs/a/b/draft.md",
            "docs/final.md",
            "x/cache/y.txt",
            "cache/z.txt",
            "abc.txt",
            "abbc.txt",
            "xy.tmp",
            "ab.tmp",
            "b1.dat",
            "a1.dat",
            "7.num",
            "n7.num",
            "#literal",
            "!literal",
            "trailing.txt ",
            "trailing.txt",
            "spaces.txt",
            "deep/a/b.txt",
            "middle/file.txt",
            "mid/d/le/file.txt",
            "foo/a.txt",
            "foo/keep/b.txt",
            "unclosed[",
            "c++.txt",
            "c+.txt",
            "nested/one.txt",
            "nested/two.txt",
            "nested/in/two.txt",
            "excluded.txt",
            "sub/tracked.log",
            "build/forced/tracked.txt",
            "build/forced/untracked.txt",
            "\u00fcml\u00e4ut.txt")) {
      write(path, path);
    }
    write("nested/.gitignore", "/two.txt\n!one.log\n");
    write("nested/one.log", "x");
    Files.writeString(work.resolve(".git/info/exclude"), "excluded.txt\n");
    git(work, "add", "-f", "sub/tracked.log", "build/forced/tracked.txt", "docs/final.md");
    List<String> expected = listed(work);
    assertEquals(expected, paths(work));
    assertTrue(
        expected.contains("build/forced/tracked.txt") && expected.size() > 20, "" + expected);
    for (String folder : List.of("nested", "sub", "docs")) {
      assertEquals(listed(work.resolve(folder)), paths(work.resolve(folder)), folder);
    }
    assertTrue(read(work.resolve("docs")).inGit());
    // Who names an ignored folder wants it read.
    assertEquals(List.of("tracked.txt", "untracked.txt"), paths(work.resolve("build/forced")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"2", "3", "4"})
  void everyVersionOfTheIndexIsRead(String version) throws IOException {
    git(work, "init", "-q");
    write(".gitignore", "*\n");
    String folder = "";
    for (int i = 0; i < 40; i++) {
      folder += i % 7 == 0 ? "folder" + i + "/" : "";
      write(folder + "f".repeat(i + 1), "x");
    }
    write("untracked", "x");
    git(work, "add", "-f", "folder0", ".gitignore");
    if (version.equals("3")) { // is written when an entry needs an extended flag
      write("later", "x");
      git(work, "add", "-f", "-N", "later");
    } else {
      git(work, "update-index", "--index-version", version);
    }
    assertEquals(Integer.parseInt(version), Files.readAllBytes(work.resolve(".git/index"))[7]);
    assertEquals(listed(work), paths(work));
    assertEquals(version.equals("3") ? 42 : 41, paths(work).size());
  }

  @Test
  void aRepositoryOfSha256IsRead() throws IOException {
    git(work, "init", "-q", "--object-format=sha256");
    write(".gitignore", "*\n");
    write("tracked.txt", "x");
    write("other.txt", "x");
    git(work, "add", "-f", "tracked.txt");
    assertEquals(List.of("tracked.txt"), paths(work));
  }

  @Test
  void submodulesAndLinkedWorkTreesAreReadOtherRepositoriesAreNot() throws IOException {
    Path library = Files.createDirectory(work.resolveSibling("library"));
    git(library, "init", "-q");
    Files.writeString(library.resolve("lib.txt"), "x");
    Files.writeString(library.resolve(".gitignore"), "made.txt\n");
    git(library, "add", ".");
    git(library, "commit", "-qm", "one");
    git(work, "init", "-q");
    write("main.txt", "x");
    git(work, "submodule", "add", "-q", library.toString(), "modules/library");
    git(work, "add", ".");
    git(work, "commit", "-qm", "one");
    write("modules/library/made.txt", "x");
    Files.createDirectory(work.resolve("stranger"));
    git(work.resolve("stranger"), "init", "-q");
    write("stranger/file.txt", "x");
    Repository repository = read(work);
    List<String> expected =
        List.of(".gitmodules", "main.txt", "modules/library/.gitignore", "modules/library/lib.txt");
    assertEquals(expected, paths(work));
    assertEquals(
        List.of(new SkippedPath("stranger/", "is another git repository, and no submodule")),
        repository.skipped());

    Path linked = work.resolveSibling("linked");
    git(work, "worktree", "add", "-q", linked.toString());
    Files.writeString(linked.resolve("new.txt"), "x");
    Files.writeString(linked.resolve("excluded.txt"), "x");
    Files.writeString(work.resolve(".git/info/exclude"), "excluded.txt\n");
    assertEquals(List.of(".gitmodules", "main.txt", "new.txt"), paths(linked));
  }

  @Test
  void anIndexThatCannotBeReadIsToldAndRulesDecide() throws IOException {
    git(work, "init", "-q");
    write(".gitignore", "*.log\n");
    write("a.txt", "x");
    write("b.log", "x");
    git(work, "add", "-f", "a.txt", "b.log");
    git(work, "update-index", "--split-index");
    Repository split = read(work);
    assertEquals(List.of(".gitignore", "a.txt"), paths(work));
    assertTrue(split.skipped().getFirst().reason().contains("split"), "" + split.skipped());

    byte[] index = Files.readAllBytes(work.resolve(".git/index"));
    Files.write(work.resolve(".git/index"), Arrays.copyOf(index, 60));
    Repository damaged = read(work);
    assertEquals(List.of(".gitignore", "a.txt"), paths(work));
    assertEquals(".git/", damaged.skipped().getFirst().path());
  }
}
