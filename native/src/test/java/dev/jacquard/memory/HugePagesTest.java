package dev.jacquard.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class HugePagesTest {
  @Test
  void memoryIsZeroWritableAndGoneWithItsArena() {
    for (long bytes : new long[] {100, HugePages.BYTES, 3 * HugePages.BYTES + 100}) {
      MemorySegment memory;
      try (Arena arena = Arena.ofShared()) {
        memory = HugePages.allocate(arena, bytes);
        assertEquals(bytes, memory.byteSize());
        assertEquals(0, memory.address() % 64);
        for (long at = 0; at < bytes; at++) {
          assertEquals(0, memory.get(ValueLayout.JAVA_BYTE, at));
          memory.set(ValueLayout.JAVA_BYTE, at, (byte) at);
        }
        assertThrows(
            IndexOutOfBoundsException.class, () -> memory.get(ValueLayout.JAVA_BYTE, bytes));
      }
      assertFalse(memory.scope().isAlive());
    }
  }

  @Test
  void moreThanThereIsIsAnOutOfMemoryError() {
    try (Arena arena = Arena.ofShared()) {
      assertThrows(OutOfMemoryError.class, () -> HugePages.allocate(arena, 1L << 52));
    }
  }
}
