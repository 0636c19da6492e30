package dev.jacquard.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GuardPagesTest {
  @ParameterizedTest
  @ValueSource(longs = {0, 1, 34, 4095, 4096, 4097, 1_000_000})
  void allBytesOfTheSegmentCanBeUsed(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = GuardPages.allocate(arena, bytes);
      assertEquals(bytes, segment.byteSize());
      segment.fill((byte) 7);
      for (long i = 0; i < bytes; i++) {
        assertEquals(7, segment.get(ValueLayout.JAVA_BYTE, i));
      }
      assertThrows(
          IndexOutOfBoundsException.class, () -> segment.get(ValueLayout.JAVA_BYTE, bytes));
    }
  }

  /** Reads the last byte of 100, then the one behind it, which Java's bounds are told to allow. */
  static final class ReadOneTooMany {
    @SuppressWarnings("restricted")
    public static void main(String[] arguments) {
      MemorySegment segment = GuardPages.allocate(Arena.global(), 100);
      MemorySegment wider = segment.reinterpret(101);
      System.out.println("last " + wider.get(ValueLayout.JAVA_BYTE, 99));
      System.out.println("beyond " + wider.get(ValueLayout.JAVA_BYTE, 100));
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void oneByteTooManyKillsTheJvm(@TempDir Path folder) throws IOException, InterruptedException {
    ChildJvm.Result result = ChildJvm.run(folder, List.of(), ReadOneTooMany.class);
    assertTrue(result.output().contains("last 0"), result.output());
    assertTrue(result.output().contains("SIGSEGV"), result.output());
    assertNotEquals(0, result.exitStatus());
  }
}
