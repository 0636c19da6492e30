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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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
}
