package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The vector backend in a JVM of its own, whose kernels are compiled while it computes. */
final class ColdStartTest {
  @Test
  void theBitsDoNotDependOnWhatIsCompiled(@TempDir Path folder) throws Exception {
    ChildJvm.Result result =
        ChildJvm.run(
            folder,
            Child.class.getName(),
            TestData.bundledModel().toString(),
            TestData.resource("reference/java-7m.tokens.txt").toString());
    assertEquals("equal in chunks: true, token by token: true\n", result.output());
    assertEquals(0, result.exitStatus());
  }

  /** What runs in the other JVM: the same text, cold at first and warm in the end. */
  static final class Child {
    private static final int TIMES = 40;

    private Child() {}

    public static void main(String[] args) throws IOException {
      int[] text;
      try (var lines = Files.lines(Path.of(args[1]))) {
        text = lines.mapToInt(Integer::parseInt).toArray();
      }
      ModelOptions options = ModelOptions.DEFAULT.withBackend("vector").withThreads(2);
      try (Model model = Jacquard.open(Path.of(args[0]), options);
          Session session = model.newSession()) {
        float[][] first = logits(session, text);
        boolean equalInChunks = true;
        for (int time = 1; time < TIMES; time++) {
          session.rewind(0);
          equalInChunks &= Arrays.deepEquals(first, logits(session, text));
        }
        session.rewind(0);
        boolean equalTokenByToken = true;
        for (int i = 0; i < text.length; i++) {
          equalTokenByToken &= Arrays.equals(first[i], logits(session, new int[] {text[i]})[0]);
        }
        System.out.println(
            "equal in chunks: " + equalInChunks + ", token by token: " + equalTokenByToken);
      }
    }

    private static float[][] logits(Session session, int[] tokens) {
      List<float[]> rows = new ArrayList<>();
      session.evaluate(tokens, tokens.length, (position, logits) -> rows.add(logits.clone()));
      return rows.toArray(float[][]::new);
    }
  }
}
