package dev.jacquard.memory;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Large blocks of memory that the system is asked to back with pages of 2 MiB: where kernels jump
 * about in a cache of gigabytes, every jump to a page of 4 KiB would need its address translated
 * anew. On Linux, where {@code /sys/kernel/mm/transparent_hugepage/enabled} is {@code madvise} or
 * {@code always} (the kernel's transhuge.rst); elsewhere memory is plain, which changes speed only.
 */
public final class HugePages {
  /** The size of a huge page on x86-64, and of most on AArch64. */
  public static final long BYTES = 2 << 20;

  private static final boolean SUPPORTED =
      System.getProperty("os.name").equals("Linux")
          && HugePages.class.getModule().isNativeAccessEnabled();

  private HugePages() {}

  /**
   * Zeroed memory that lives as long as {@code arena}; blocks of {@link #BYTES} and more start at a
   * multiple of it where huge pages are supported, all others at a multiple of 64.
   *
   * @throws OutOfMemoryError if the system has none
   */
  public static MemorySegment allocate(Arena arena, long bytes) {
    return SUPPORTED && bytes >= BYTES ? Posix.allocate(arena, bytes) : arena.allocate(bytes, 64);
  }

  /** The three calls of sys/mman.h, with Linux's numbers for its constants. */
  @SuppressWarnings("restricted") // calling C and trusting its answers is the purpose
  private static final class Posix {
    private static final int PROT_READ_WRITE = 1 | 2;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;
    private static final int MADV_HUGEPAGE = 14;
    private static final long MAP_FAILED = -1;

    private static final MethodHandle MMAP =
        function("mmap", ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
    private static final MethodHandle MADVISE =
        function("madvise", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
    private static final MethodHandle MUNMAP = function("munmap", JAVA_INT, ADDRESS, JAVA_LONG);

    private static MethodHandle function(
        String name, MemoryLayout result, MemoryLayout... arguments) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(
          linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    /** Pages that are never touched cost nothing, so room for the alignment is free. */
    static MemorySegment allocate(Arena arena, long bytes) {
      long mapped = bytes + BYTES;
      try {
        MemorySegment block =
            (MemorySegment)
                MMAP.invokeExact(
                    MemorySegment.NULL, mapped, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
        if (block.address() == MAP_FAILED) {
          throw new OutOfMemoryError("the system has no " + bytes + " bytes left");
        }
        long skipped = -block.address() & (BYTES - 1);
        MemorySegment whole = block.reinterpret(mapped, arena, _ -> free(block, mapped));
        MemorySegment aligned = whole.asSlice(skipped, bytes);
        // Advice only: a kernel without huge pages answers with an error, and nothing is lost.
        int _ = (int) MADVISE.invokeExact(aligned, bytes, MADV_HUGEPAGE);
        return aligned;
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException("C functions throw nothing", e);
      }
    }

    private static void free(MemorySegment block, long bytes) {
      try {
        int result = (int) MUNMAP.invokeExact(block, bytes);
        if (result != 0) {
          throw new IllegalStateException("munmap failed: a leak of " + bytes + " bytes");
        }
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException("C functions throw nothing", e);
      }
    }
  }
}
