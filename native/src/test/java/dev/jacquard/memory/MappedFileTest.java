package dev.jacquard.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MappedFileTest {
  private final Path folder;

  MappedFileTest(@TempDir Path folder) {
    this.folder = folder;
  }

  private Path file(int bytes) throws IOException {
    byte[] content = new byte[bytes];
    for (int i = 0; i < bytes; i++) {
      content[i] = (byte) i;
    }
    return Files.write(folder.resolve("model"), content);
  }

  private static void truncate(Path path, long size) throws IOException {
    try (FileChannel writer = FileChannel.open(path, StandardOpenOption.WRITE)) {
      writer.truncate(size);
    }
  }

  @Test
  void holdsTheBytesOfTheFileReadOnly() throws IOException {
    try (MappedFile mapped = MappedFile.open(file(10_000))) {
      MemorySegment segment = mapped.segment();
      assertEquals(10_000, segment.byteSize());
      assertEquals((byte) 9_999, segment.get(ValueLayout.JAVA_BYTE, 9_999));
      assertTrue(segment.isReadOnly());
      assertThrows(
          IllegalArgumentException.class, () -> segment.set(ValueLayout.JAVA_BYTE, 0, (byte) 1));
      mapped.requireIntact();
    }
  }

  @Test
  void anEmptyFileIsAnEmptySegment() throws IOException {
    try (MappedFile mapped = MappedFile.open(file(0))) {
      assertEquals(0, mapped.segment().byteSize());
      mapped.requireIntact();
    }
  }

  @Test
  void aMissingFileIsAnIoException() {
    assertThrows(NoSuchFileException.class, () -> MappedFile.open(folder.resolve("none")));
  }

  @Test
  void aFileShortenedByAnotherWriterIsNoticed() throws IOException {
    Path path = file(10_000);
    try (MappedFile mapped = MappedFile.open(path)) {
      truncate(path, 4_096);
      var e = assertThrows(JacquardException.class, mapped::requireIntact);
      assertEquals(
          path
              + ": the file was shortened while it was in use, from 10000 to 4096 bytes; restore it"
              + " and open the model again",
          e.getMessage());
    }
  }

  @Test
  void afterClosingNothingCanBeRead() throws IOException {
    MappedFile mapped = MappedFile.open(file(16));
    mapped.close();
    mapped.close();
    assertThrows(IllegalStateException.class, () -> mapped.segment().get(ValueLayout.JAVA_BYTE, 0));
    assertThrows(JacquardException.class, mapped::requireIntact);
  }

  /** Reads a file that is shortened under it, again and again, in one of the ways that survive. */
  static final class ReadLostPages {
    private static final int SIZE = 1 << 16;

    public static void main(String[] arguments) throws IOException {
      Path path = Files.write(Path.of("lost"), new byte[SIZE]);
      try (MappedFile mapped = MappedFile.open(path)) {
        byte[] copy = new byte[SIZE];
        for (int warmUp = 0; warmUp < 30; warmUp++) {
          read(arguments[0], mapped.segment(), copy);
        }
        truncate(path, 4_096);
        int caught = 0;
        for (int i = 0; i < 10; i++) {
          try {
            read(arguments[0], mapped.segment(), copy);
          } catch (InternalError e) {
            caught++;
          }
        }
        System.out.println("caught " + caught);
      }
    }

    private static void read(String way, MemorySegment segment, byte[] copy) {
      if (way.equals("copy")) {
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, 0, copy, 0, SIZE);
      } else {
        for (int i = 0; i < SIZE; i++) {
          copy[i] = segment.get(ValueLayout.JAVA_BYTE, i);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "get, -Xint",
    "get, -XX:-TieredCompilation",
    "copy, -Xint",
    "copy, -XX:-TieredCompilation"
  })
  @EnabledOnOs(OS.LINUX)
  void lostPagesAreAnInternalErrorAndTheJvmLivesOn(String way, String option)
      throws IOException, InterruptedException {
    ChildJvm.Result result = ChildJvm.run(folder, List.of(option), ReadLostPages.class, way);
    assertTrue(result.output().contains("caught 10"), result.output());
    assertEquals(0, result.exitStatus());
  }
}
