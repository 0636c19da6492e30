package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's program, compiled and run as it stands there. */
final class ReadmeExampleTest {
  private static final Pattern PROGRAM =
      Pattern.compile("```java\n(import dev.jacquard.*?)```", Pattern.DOTALL);

  @Test
  void compilesRunsAndSaysWhatATokenCost(@TempDir Path folder) throws Exception {
    Matcher program = PROGRAM.matcher(Files.readString(TestData.project().resolve("README.md")));
    assertTrue(program.find(), "the README has a program for users of the library");
    Path source = Files.writeString(folder.resolve("Example.java"), program.group(1));
    ChildJvm.Result result =
        ChildJvm.run(
            folder, source.toString(), TestData.bundledModel().toString(), "public static int ");
    assertEquals(0, result.exitStatus(), result.output());
    assertTrue(
        result.output().matches("(?s).+\nGenerationStatistics\\[prefill=.*\\]\n"), result.output());
  }
}
