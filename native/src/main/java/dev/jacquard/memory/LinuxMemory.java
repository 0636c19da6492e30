package dev.jacquard.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The files in which Linux says how much memory there is: {@code /proc/meminfo} (proc(5)) and the
 * memory controllers of control groups, version 1 (cgroups(7)) and 2 (the kernel's cgroup-v2.rst).
 * Files that are missing or say nothing set no bound.
 */
final class LinuxMemory {
  /** Names of the memory controller's files. */
  private enum Controller {
    VERSION_1(
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_active_file",
        "total_inactive_file"),
    VERSION_2("memory.max", "memory.current", "active_file", "inactive_file");

    private final String limit;
    private final String usage;
    private final String activeFile;
    private final String inactiveFile;

    Controller(String limit, String usage, String activeFile, String inactiveFile) {
      this.limit = limit;
      this.usage = usage;
      this.activeFile = activeFile;
      this.inactiveFile = inactiveFile;
    }
  }

  private LinuxMemory() {}

  /** All bounds that the files below {@code root} set; none where it is not Linux. */
  static List<AvailableMemory> bounds(Path root) {
    List<AvailableMemory> bounds = new ArrayList<>();
    Path meminfo = root.resolve("proc/meminfo");
    field(read(meminfo), "MemAvailable:")
        .ifPresent(kib -> bounds.add(new AvailableMemory(kib * 1024, meminfo.toString())));
    Path mount = root.resolve("sys/fs/cgroup");
    for (String line : read(root.resolve("proc/self/cgroup")).lines().toList()) {
      // hierarchy:controllers:path, where version 2 is hierarchy 0 and names no controllers.
      String[] fields = line.split(":", 3);
      if (line.startsWith("0::")) {
        addGroups(bounds, mount, fields[2], Controller.VERSION_2);
      } else if (fields.length == 3 && Arrays.asList(fields[1].split(",")).contains("memory")) {
        addGroups(bounds, mount.resolve("memory"), fields[2], Controller.VERSION_1);
      }
    }
    return bounds;
  }

  /**
   * The bounds of a group and of all around it. Inside a container the path may be the host's and
   * not exist; then only the groups that exist count, the container's own (the mount) among them.
   */
  private static void addGroups(
      List<AvailableMemory> bounds, Path mount, String path, Controller controller) {
    Path group = mount.resolve(path.replaceFirst("^/+", "")).normalize();
    while (group != null && group.startsWith(mount)) {
      available(group, controller).ifPresent(bounds::add);
      group = group.getParent();
    }
  }

  private static Optional<AvailableMemory> available(Path group, Controller controller) {
    OptionalLong limit = number(read(group.resolve(controller.limit)));
    OptionalLong usage = number(read(group.resolve(controller.usage)));
    if (limit.isEmpty() || usage.isEmpty()) {
      return Optional.empty();
    }
    String statistics = read(group.resolve("memory.stat"));
    long cached =
        field(statistics, controller.activeFile).orElse(0)
            + field(statistics, controller.inactiveFile).orElse(0);
    long left = limit.getAsLong() - usage.getAsLong() + cached;
    return Optional.of(
        new AvailableMemory(Math.clamp(left, 0, limit.getAsLong()), group.toString()));
  }

  /** The number on the line that starts with {@code name} and a blank. */
  static OptionalLong field(String text, String name) {
    return text.lines()
        .map(line -> line.strip().split("\\s+", 3))
        .filter(words -> words.length >= 2 && words[0].equals(name))
        .findFirst()
        .map(words -> number(words[1]))
        .orElse(OptionalLong.empty());
  }

  /** A number alone; empty for {@code max}, which is no limit, and for anything else. */
  static OptionalLong number(String text) {
    try {
      return OptionalLong.of(Long.parseLong(text.strip()));
    } catch (NumberFormatException e) {
      return OptionalLong.empty();
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "";
    }
  }
}
