package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.KvStoreException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the store looks like after its writer was killed, or the system took no more bytes. */
class KvStoreProcessTest {
  private static final int TOKENS = 100;

  @TempDir private Path folder = Path.of("");

  private static int[] ids(int number, int count) {
    int[] ids = new int[count];
    for (int i = 0; i < count; i++) {
      ids[i] = (number + i) % 300;
    }
    return ids;
  }

  /** Stores files without end and says so, or one small and one large file. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      try (Model model = TestModels.open("llama", TestModels.OPTIONS.withContext(512))) {
        KvStore store = model.store(Path.of(args[0]), 1 << 30);
        int files = args[1].equals("endless") ? Integer.MAX_VALUE : 0;
        for (int number = 0; number < files; number++) {
          model.store(store, ids(number, TOKENS));
          System.out.println("stored");
        }
        model.store(store, ids(0, 20));
        System.out.println("stored");
        model.store(store, ids(0, 500));
        System.out.println("stored more than the system takes");
      } catch (KvStoreException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private Process start(String prefix, String mode) throws IOException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    String command =
        "%s exec '%s' -XX:-UsePerfData -Xmx256m --add-modules jdk.incubator.vector -cp '%s' '%s' '%s' %s"
            .formatted(
                prefix,
                java,
                System.getProperty("java.class.path"),
                Child.class.getName(),
                folder.resolve("kv"),
                mode);
    return new ProcessBuilder("sh", "-c", command)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private List<Path> files(String suffix) throws IOException {
    try (Stream<Path> paths = Files.list(folder.resolve("kv"))) {
      return paths.filter(p -> p.toString().endsWith(suffix)).toList();
    }
  }

  @Test
  void aKilledWriterLeavesWholeFilesOnly() throws Exception {
    assumeUnix();
    int left = 0;
    for (int round = 0; round < 4 || (left == 0 && round < 20); round++) {
      Process writer = start("", "endless");
      try (BufferedReader lines = writer.inputReader(StandardCharsets.UTF_8)) {
        for (int i = 0; i < 3; i++) {
          assertEquals("stored", lines.readLine());
        }
        while (files(".part").isEmpty() && writer.isAlive()) {
          Thread.onSpinWait();
        }
      } finally {
        writer.destroyForcibly(); // SIGKILL
        assertTrue(writer.waitFor(30, TimeUnit.SECONDS));
      }
      left += files(".part").size();
    }
    assertNotEquals(0, left, "it was killed in the middle of a file at least once");
    for (Path part : files(".part")) {
      FileTime old = FileTime.from(Instant.now().minus(Duration.ofMinutes(2)));
      Files.setLastModifiedTime(part, old);
    }
    try (Model model = TestModels.open("llama", TestModels.OPTIONS.withContext(512));
        Session session = model.newSession()) {
      KvStore store = model.store(folder.resolve("kv"), 1 << 30);
      assertEquals(List.of(), files(".part"), "the next user of the store removes what is left");
      int stored = files(".kv").size();
      assertTrue(stored >= 3);
      session.evaluate(model.lead(), 0, (_, _) -> {});
      for (int number = 0; number < 3; number++) {
        session.place(store, store.find(model.lead(), ids(number, TOKENS)).orElseThrow());
        session.evaluate(new int[] {5}, 1, (_, _) -> {});
      }
      assertEquals(stored, files(".kv").size(), "all were sound: none was removed");
    }
  }

  /** A limit on the size of files, which the system enforces as it does a full disk. */
  @Test
  void aFullDiskLosesNothing() throws Exception {
    assumeUnix();
    Process writer = start("ulimit -f 64;", "once");
    String output = new String(writer.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(writer.waitFor(60, TimeUnit.SECONDS));
    List<String> lines = output.lines().toList();
    assertEquals(2, lines.size(), output);
    assertEquals("stored", lines.getFirst());
    assertTrue(
        lines.getLast().contains("keys and values cannot be written (File too large)")
            && lines.getLast().contains("what was stored before is safe"),
        output);
    assertEquals(1, files(".kv").size());
    assertEquals(List.of(), files(".part"));
  }

  private static void assumeUnix() {
    String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    Assumptions.assumeFalse(system.contains("windows"), "signals and limits of Unix");
  }
}
