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
import java.util.Objects;

/**
 * Memory for kernels' inputs in tests: its last byte is the last one of its page, and the page
 * behind it may not be touched.
 *
 * <pre>
 *  page            page            page
 *  |---------------|---------------|---------------|
 *  |       [ segment, read, write ]|   no access   |
 *                           one byte more: SIGSEGV
 * </pre>
 *
 * <p>How tests use it: copy a kernel's input here, hand it over, compare its result. A read within
 * the memory segment's own bounds never reaches the guard page, and one beyond them is an {@link
 * IndexOutOfBoundsException} already; the guard page catches what Java does not check: native code,
 * and segments that were reinterpreted to more than their data. Touching it is not an exception: it
 * kills the JVM with SIGSEGV, and the kernel's frame heads the {@code hs_err} file. That is meant;
 * the build fails loudly. A test that expects the fault runs the kernel in a child JVM, as {@code
 * GuardPagesTest} does.
 *
 * <p>Linux only: elsewhere the memory is plain, which is said on standard error.
 */
public final class GuardPages {
  private static final boolean LINUX = System.getProperty("os.name").equals("Linux");

  private GuardPages() {}

  /**
   * Memory of exactly {@code bytes} bytes, zeroed, not aligned, whose end borders the guard page;
   * lives as long as {@code arena}.
   */
  public static MemorySegment allocate(Arena arena, long bytes) {
    if (!LINUX) {
      System.err.println(
          "NO GUARD PAGES on "
              + System.getProperty("os.name")
              + ": reads past the end of native memory go unnoticed in this run");
      return arena.allocate(bytes, 1);
    }
    return Posix.allocate(arena, bytes);
  }

  /** The three calls of sys/mman.h, with Linux's numbers for its constants. */
  @SuppressWarnings("restricted") // calling C and trusting its answers is the purpose
  private static final class Posix {
    private static final int PROT_NONE = 0;
    private static final int PROT_READ_WRITE = 1 | 2;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;
    private static final int SC_PAGESIZE = 30;

    private static final MethodHandle MMAP =
        function("mmap", ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
    private static final MethodHandle MPROTECT =
        function("mprotect", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
    private static final MethodHandle MUNMAP = function("munmap", JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle SYSCONF = function("sysconf", JAVA_LONG, JAVA_INT);

    private static MethodHandle function(
        String name, MemoryLayout result, MemoryLayout... arguments) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(
          linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    static MemorySegment allocate(Arena arena, long bytes) {
      Objects.checkIndex(bytes, Long.MAX_VALUE / 2);
      try {
        long page = (long) SYSCONF.invokeExact(SC_PAGESIZE);
        long usable = Math.ceilDiv(bytes, page) * page;
        long size = usable + page;
        MemorySegment start =
            (MemorySegment)
                MMAP.invokeExact(
                    MemorySegment.NULL, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
        if (start.address() == -1) {
          throw new AssertionError("mmap of " + size + " bytes failed");
        }
        MemorySegment pages = start.reinterpret(size, arena, Posix::unmap);
        require((int) MPROTECT.invokeExact(pages.asSlice(usable), page, PROT_NONE), "mprotect");
        return pages.asSlice(usable - bytes, bytes);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
    }

    private static void unmap(MemorySegment pages) {
      try {
        require((int) MUNMAP.invokeExact(pages, pages.byteSize()), "munmap");
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
    }

    private static void require(int result, String function) {
      if (result != 0) {
        throw new AssertionError(function + " failed");
      }
    }
  }
}
