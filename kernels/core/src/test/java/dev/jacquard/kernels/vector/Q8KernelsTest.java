package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.memory.GuardPages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What kernels read from memory: all of it, and nothing behind it. */
class Q8KernelsTest {
  @ParameterizedTest
  @ValueSource(ints = {4, 7, 12, 32, 64, 80, 128, 256})
  void keysAreTransposed(int size) {
    try (Arena arena = Arena.ofConfined()) {
      // A storage has 63 bytes and more behind its keys.
      MemorySegment keys = random(arena, PAGE_TOKENS * size + 63);
      int[] words = new int[Q8KeyKernels.pageWords(Q8KeyKernels.filled(size)) + 3];
      Q8KeyKernels.transpose(keys, 0, size, words, 3);
      for (int t = 0; t < PAGE_TOKENS; t++) {
        for (int c = 0; c < size; c++) {
          int word = words[3 + c / 4 * PAGE_TOKENS + t];
          assertEquals(
              keys.get(ValueLayout.JAVA_BYTE, (long) t * size + c), (byte) (word >> (8 * (c % 4))));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 20, 32, 64, 80, 128, 256})
  void planesAreJoined(int size) {
    int plane = Q8KvStorage.plane(size);
    int stride = Q8ValueKernels.filled(size);
    try (Arena arena = Arena.ofConfined()) {
      for (int tokens = 1; tokens <= PAGE_TOKENS; tokens++) {
        MemorySegment planes = random(arena, tokens * 2 * plane);
        byte[] codes = new byte[2 + PAGE_TOKENS * stride];
        Q8ValueKernels.join(planes, 0, plane, tokens, codes, 2, stride);
        for (int t = 0; t < tokens; t++) {
          for (int c = 0; c < size; c++) {
            int shift = c < plane ? 0 : 4;
            long at = (long) t * 2 * plane + c % plane;
            int upper = planes.get(ValueLayout.JAVA_BYTE, at) >> shift & 15;
            int lower = planes.get(ValueLayout.JAVA_BYTE, at + plane) >> shift & 15;
            assertEquals(16 * upper + lower - 128, codes[2 + t * stride + c]);
          }
        }
      }
    }
  }

  private static MemorySegment random(Arena arena, int bytes) {
    byte[] numbers = new byte[bytes];
    new Random(bytes).nextBytes(numbers);
    MemorySegment memory = GuardPages.allocate(arena, bytes);
    MemorySegment.copy(numbers, 0, memory, ValueLayout.JAVA_BYTE, 0, bytes);
    return memory;
  }
}
