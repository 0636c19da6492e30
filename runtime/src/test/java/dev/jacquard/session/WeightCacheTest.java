package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

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
}
