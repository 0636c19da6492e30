package dev.jacquard.memory;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Comparator;

/**
 * How much memory this process may still use, on and outside the heap together.
 *
 * <p>On Linux that is the least of what the machine has and of what each control group around the
 * process leaves; cached file pages count as available, because the kernel drops them when memory
 * is short. Elsewhere it is the operating system's free memory.
 *
 * @param bytes not negative
 * @param source what sets this bound, as {@code /proc/meminfo} or a control group's folder
 */
public record AvailableMemory(long bytes, String source) {
  /** What is available now; a moment later it may be less or more. */
  public static AvailableMemory now() {
    return LinuxMemory.bounds(Path.of("/")).stream()
        .min(Comparator.comparingLong(AvailableMemory::bytes))
        .orElseGet(AvailableMemory::free);
  }

  private static AvailableMemory free() {
    var system =
        ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class);
    return new AvailableMemory(system.getFreeMemorySize(), "the operating system's free memory");
  }
}
