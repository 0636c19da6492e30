package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class WeightCacheTest {
  @Test
  void thePropertyMovesItOrTurnsItOff() {
    assertEquals(Path.of("/fast/f"), WeightCache.file("/fast", "/xdg", "/home/me", "f"));
    assertNull(WeightCache.file("none", "/xdg", "/home/me", "f"));
  }

  @Test
  void followsTheBaseDirectorySpecification() {
    Path home = Path.of("/home/me/.cache/jacquard/f");
    assertEquals(Path.of("/xdg/jacquard/f"), WeightCache.file(null, "/xdg", "/home/me", "f"));
    assertEquals(home, WeightCache.file(null, null, "/home/me", "f"));
    assertEquals(home, WeightCache.file(null, "", "/home/me", "f"));
    assertEquals(home, WeightCache.file(null, "relative", "/home/me", "f"));
  }

  @Test
  void whatWasNotUsedForLongestGoes(@TempDir Path folder) throws IOException {
    List<Path> files = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Path file = folder.resolve("%032x.vector".formatted(i));
      Files.write(file, new byte[100]);
      Files.setLastModifiedTime(file, FileTime.fromMillis(1000L * (i + 1)));
      files.add(file);
    }
    Path basis = folder.resolve("%032x.basis.gguf".formatted(0));
    Files.write(basis, new byte[1000]);
    WeightCache.used(files.get(0), 300);
    assertEquals(List.of(true, false, true, true), files.stream().map(Files::exists).toList());
    WeightCache.used(files.get(2), 50);
    assertEquals(List.of(false, false, true, false), files.stream().map(Files::exists).toList());
    assertTrue(Files.exists(basis), "only repacked weights are bounded");
  }

  @Test
  void whatIsOlderThanItsModelGoes(@TempDir Path folder) throws IOException {
    Path file = Files.write(folder.resolve("f"), new byte[1]);
    FileTime used = Files.getLastModifiedTime(file);
    WeightCache.dropIfOlder(file, used);
    assertTrue(Files.exists(file));
    WeightCache.dropIfOlder(file, FileTime.fromMillis(used.toMillis() + 1));
    assertFalse(Files.exists(file));
    WeightCache.dropIfOlder(file, used); // nothing there, nothing to do
  }
}
