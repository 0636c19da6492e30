package dev.jacquard.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AvailableMemoryTest {
  private final Path root;

  AvailableMemoryTest(@TempDir Path root) {
    this.root = root;
  }

  private void file(String path, String text) throws IOException {
    Path file = root.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private AvailableMemory bound(long bytes, String path) {
    return new AvailableMemory(bytes, root.resolve(path).toString());
  }

  @Test
  void thisMachineHasMemory() {
    AvailableMemory now = AvailableMemory.now();
    assertTrue(now.bytes() > 1 << 20, now.toString());
  }

  @Test
  void noFilesNoBounds() {
    assertEquals(List.of(), LinuxMemory.bounds(root));
  }

  @Test
  void meminfoCountsInKibibytes() throws IOException {
    file("proc/meminfo", "MemTotal:  8000 kB\nMemFree:  10 kB\nMemAvailable:    5000 kB\n");
    assertEquals(List.of(bound(5_000 * 1024, "proc/meminfo")), LinuxMemory.bounds(root));
  }

  @Test
  void version2CountsEveryGroupAroundTheProcess() throws IOException {
    file("proc/self/cgroup", "0::/service/job\n");
    file("sys/fs/cgroup/service/job/memory.max", "max\n");
    file("sys/fs/cgroup/service/job/memory.current", "500\n");
    file("sys/fs/cgroup/service/memory.max", "1000\n");
    file("sys/fs/cgroup/service/memory.current", "900\n");
    file("sys/fs/cgroup/service/memory.stat", "anon 200\ninactive_file 300\nactive_file 50\n");
    assertEquals(List.of(bound(450, "sys/fs/cgroup/service")), LinuxMemory.bounds(root));
  }

  @Test
  void version1HasOtherNames() throws IOException {
    file("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n");
    // The path is the host's; the container sees its own group at the mount.
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n");
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1500\n");
    file(
        "sys/fs/cgroup/memory/memory.stat",
        "active_file 9999\ntotal_inactive_file 100\ntotal_active_file 10\n");
    assertEquals(List.of(bound(610, "sys/fs/cgroup/memory")), LinuxMemory.bounds(root));
  }

  @Test
  void aGroupOverItsLimitLeavesNothing() throws IOException {
    file("proc/self/cgroup", "0::/\n");
    file("sys/fs/cgroup/memory.max", "1000\n");
    file("sys/fs/cgroup/memory.current", "1200\n");
    assertEquals(List.of(bound(0, "sys/fs/cgroup")), LinuxMemory.bounds(root));
  }

  @Test
  void aPathOutOfTheMountIsNotFollowed() throws IOException {
    file("proc/self/cgroup", "0::/../../..\nnonsense\n");
    file("memory.max", "1000\n");
    file("memory.current", "1200\n");
    assertEquals(List.of(), LinuxMemory.bounds(root));
  }

  @Test
  void onlyNumbersAreLimits() {
    assertEquals(OptionalLong.of(Long.MAX_VALUE), LinuxMemory.number("9223372036854775807\n"));
    for (String none : List.of("max\n", "", "12 kB", "9223372036854775808")) {
      assertEquals(OptionalLong.empty(), LinuxMemory.number(none), none);
    }
  }
}
