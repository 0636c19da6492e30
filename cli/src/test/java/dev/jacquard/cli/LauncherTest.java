package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The scripts, run in a folder with a blank in its name beside a JDK and a Maven that only write
 * down how they were called.
 */
class LauncherTest {
  private record Result(int code, String out, String err) {}

  @TempDir private Path folder = Path.of("");
  private Path root = Path.of("");
  private Path jdk = Path.of("");
  private Path tools = Path.of("");

  @BeforeEach
  void layOut() throws IOException {
    root = Files.createDirectories(folder.resolve("my projects/jacquard"));
    for (String script : List.of("jacquard", "scripts/find-jdk.sh")) {
      Path copy = root.resolve(script);
      Files.createDirectories(copy.getParent());
      Files.copy(TestData.project().resolve(script), copy);
    }
    for (String source :
        List.of(
            "pom.xml",
            "cli/pom.xml",
            "cli/src/main/A.java",
            "kernels/core/pom.xml",
            "kernels/core/src/main/B.java")) {
      Path file = root.resolve(source);
      Files.createDirectories(file.getParent());
      Files.writeString(file, "x");
    }
    jdk = jdk("25.0.3");
    tools = Files.createDirectories(folder.resolve("tools"));
  }

  @Test
  void argumentsArriveAsTheyWereGivenFromAnywhereAndThroughLinks() throws Exception {
    markBuilt(root);
    Path link =
        Files.createSymbolicLink(folder.resolve("j"), Path.of("my projects/jacquard/jacquard"));
    Path second = Files.createSymbolicLink(tools.resolve("jq"), Path.of("../j"));
    for (Path start : List.of(root.resolve("jacquard"), link, second)) {
      Result result = run(start, "generate", "a  b", "", "*", "$HOME", "@file", "ü\n");
      assertEquals(0, result.code, result.err);
      assertEquals("", result.err);
      assertTrue(result.out.endsWith("<generate><a  b><><*><$HOME><@file><ü\n>"), result.out);
      assertTrue(
          result.out.contains("<" + root.resolve("cli/target/jacquard/lib") + ">"), result.out);
    }
  }

  @Test
  void theFirstUseBuildsAndTheSecondDoesNot() throws Exception {
    script(
        tools.resolve("mvn"), "echo mvn \"$JAVA_HOME\" \"$@\"; mkdir -p cli/target/jacquard/lib");
    Result first = run(root.resolve("jacquard"), "doctor");
    assertEquals(0, first.code, first.err);
    assertTrue(first.err.contains("building"), first.err);
    assertTrue(first.err.contains("mvn " + jdk + " "), first.err);
    assertTrue(first.err.contains("learning"), first.err);
    assertTrue(first.out.endsWith("<doctor>"), first.out);
    assertFalse(first.out.contains("AOTCacheOutput"), first.out);

    Result second = run(root.resolve("jacquard"), "doctor");
    assertEquals("", second.err);
    assertEquals(0, second.code);
  }

  @Test
  void newerSourcesAreBuiltAgain() throws Exception {
    markBuilt(root);
    script(tools.resolve("mvn"), "exit 0");
    Files.setLastModifiedTime(
        root.resolve("cli/src/main/A.java"), FileTime.from(Instant.now().plusSeconds(60)));
    assertTrue(run(root.resolve("jacquard"), "doctor").err.contains("building"));
  }

  @Test
  void aBuildThatFailsEndsThere() throws Exception {
    script(tools.resolve("mvn"), "echo broken; exit 1");
    Result result = run(root.resolve("jacquard"), "doctor");
    assertEquals(1, result.code);
    assertTrue(result.err.contains("broken"), result.err);
    assertEquals("", result.out);
    assertFalse(Files.exists(root.resolve("cli/target/jacquard/stamp")));
  }

  @Test
  void aReadOnlyInstallationStartsAsItWasBuilt() throws Exception {
    markBuilt(root);
    Path built = root.resolve("cli/target/jacquard");
    Files.delete(built.resolve("start.aot"));
    Files.setLastModifiedTime(
        root.resolve("cli/src/main/A.java"), FileTime.from(Instant.now().plusSeconds(60)));
    assertTrue(built.toFile().setWritable(false));
    List<String> command = new ArrayList<>();
    if (Files.isWritable(built)) { // root is above permissions; without this capability it is not
      command.addAll(List.of("setpriv", "--bounding-set=-dac_override"));
    }
    command.addAll(List.of(root.resolve("jacquard").toString(), "doctor"));
    Result result = run(command);
    assertEquals(0, result.code);
    assertEquals("", result.err);
  }

  @ParameterizedTest
  @CsvSource({
    "25.0.3, true",
    "25.0.10, true",
    "25.1, true",
    "26, true",
    "26-ea, false",
    "100.0.1, true",
    "25, false",
    "25.0.2, false",
    "24.9.9, false",
    "17.0.15, false",
    "1.8.0_402, false"
  })
  void jdksAreChosenByTheirVersion(String version, boolean suitable) throws Exception {
    jdk = jdk(version);
    Result result = run(root.resolve("scripts/find-jdk.sh"));
    assertEquals(suitable, result.out.strip().equals(jdk.toString()), result.out + result.err);
  }

  private static void markBuilt(Path root) throws IOException {
    Path built = root.resolve("cli/target/jacquard");
    Files.createDirectories(built.resolve("lib"));
    Files.createFile(built.resolve("stamp"));
    Files.createFile(built.resolve("start.aot"));
  }

  private Path jdk(String version) throws IOException {
    Path home = folder.resolve("a jdk " + version);
    Files.createDirectories(home.resolve("bin"));
    script(home.resolve("bin/java"), "printf '<%s>' \"$@\"");
    script(home.resolve("bin/javac"), "exit 0");
    Files.writeString(
        home.resolve("release"), "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"" + version + "\"\n");
    return home;
  }

  private static void script(Path file, String body) throws IOException {
    Files.writeString(file, "#!/bin/sh\n" + body + "\n");
    assertTrue(file.toFile().setExecutable(true));
  }

  private Result run(Path program, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    return run(command);
  }

  private Result run(List<String> command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().clear();
    builder
        .environment()
        .putAll(
            Map.of(
                "PATH", tools + ":/usr/bin:/bin", "JAVA_HOME", jdk.toString(), "LANG", "C.UTF-8"));
    Path err = folder.resolve("stderr");
    Process process = builder.redirectError(err.toFile()).start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Result(process.waitFor(), out, Files.readString(err));
  }
}
