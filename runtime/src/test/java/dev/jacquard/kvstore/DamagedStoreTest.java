package dev.jacquard.kvstore;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.KvFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stored files that are not what they should be are refused, removed, and computed anew. */
class DamagedStoreTest {
  @TempDir private Path folder = Path.of("");
  private final StoreRig rig = new StoreRig("gemma3", "reference", KvFormat.F32);
  private final int[] ids = rig.ids(1, 200);
  private KvStore store = rig.store(folder, 1 << 30);
  private StoredFile file = new StoredFile(folder, new StoreLayout("", rig.program.kv(), ids, ids));
  private byte[] sound = new byte[0];

  @BeforeEach
  void write() throws IOException {
    store = rig.store(folder, 1 << 30);
    file = rig.record(store, ids, 400);
    sound = Files.readAllBytes(file.path());
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private Optional<StoredFile> find() {
    return store.find(StoreRig.LEAD, ids);
  }

  /** Tries to place the file; returns why it is refused. */
  private String refusal() {
    try (KvSequence sequence = rig.cache.newSequence()) {
      rig.run(sequence, StoreRig.LEAD, 400, null);
      KvStoreException e =
          assertThrows(
              KvStoreException.class,
              () -> store.place(file, 1, 1 + ids.length, sequence, rig.storage()));
      assertEquals(1, sequence.length(), "nothing was placed");
      return String.valueOf(e.getMessage());
    }
  }

  /**
   * One bit of every region: header fields, ids, checksums, first and last record of each layer.
   */
  @Test
  void aDamagedByteIsNoticed() throws IOException {
    assertEquals(file.path(), find().orElseThrow().path());
    StoreLayout layout = file.layout();
    int header = layout.headerBytes();
    for (int at = 0; at < header; at++) {
      byte[] damaged = sound.clone();
      damaged[at] ^= 0x10;
      Files.write(file.path(), damaged);
      assertTrue(find().isEmpty(), "header byte " + at);
      assertFalse(Files.exists(file.path()), "it is removed");
    }
    for (int layer = 0; layer < rig.program.kv().layers().size(); layer++) {
      long start = layout.sectionStart(layer);
      for (long at : new long[] {start, start + layout.sectionBytes(layer) - 1}) {
        byte[] damaged = sound.clone();
        damaged[(int) at] ^= 1;
        Files.write(file.path(), damaged);
        assertTrue(find().isPresent(), "contents are checked when they are placed");
        String refusal = refusal();
        assertTrue(refusal.contains("layer " + layer + " are damaged"), refusal);
        assertFalse(Files.exists(file.path()), "it is removed");
      }
    }
  }

  @Test
  void aFileOfAnotherLengthIsNoticed() throws IOException {
    int header = file.layout().headerBytes();
    for (int length : new int[] {0, 1, 31, 32, header - 1, header, sound.length - 1}) {
      Files.write(file.path(), Arrays.copyOf(sound, length));
      String refusal = refusal();
      assertTrue(refusal.contains("truncated") || refusal.contains(" instead of "), refusal);
      Files.write(file.path(), Arrays.copyOf(sound, length));
      assertTrue(find().isEmpty(), length + " bytes");
    }
    Files.write(file.path(), Arrays.copyOf(sound, sound.length + 1));
    assertTrue(find().isEmpty());
    assertTrue(refusal().contains("the store does not have it any more"));
  }

  @Test
  void otherVersionsAndFilesAreNamed() throws IOException {
    byte[] other = sound.clone();
    other[8] = 7;
    Files.write(file.path(), other);
    assertTrue(refusal().contains("was written in version 7"));
    other[0]++;
    Files.write(file.path(), other);
    assertTrue(refusal().contains("is no file of keys and values"));
  }

  @Test
  void whatAnotherModelMadeIsNotUsed() throws IOException {
    KvStore others = new KvStore(folder, 1 << 30, "another", rig.program);
    assertTrue(others.find(StoreRig.LEAD, ids).isEmpty(), "it has another name");
    StoredFile theirs = rig.record(others, ids, 400);
    assertTrue(find().isPresent(), "both are there");
    Files.move(theirs.path(), file.path(), StandardCopyOption.REPLACE_EXISTING);
    assertTrue(refusal().contains("another model"));
    // A name of the same length, as all fingerprints have.
    KvStore sameLength =
        new KvStore(folder, 1 << 30, "x" + rig.file.fingerprint().substring(1), rig.program);
    theirs = rig.record(sameLength, ids, 400);
    Files.move(theirs.path(), file.path(), StandardCopyOption.REPLACE_EXISTING);
    assertTrue(refusal().contains("another model"));
    assertTrue(find().isEmpty());
  }

  @Test
  void anEditedFileIsAnotherFile() {
    int[] edited = ids.clone();
    edited[100] ^= 1;
    assertTrue(store.find(StoreRig.LEAD, edited).isEmpty());
    assertTrue(store.find(new int[0], ids).isEmpty());
    assertTrue(find().isPresent());
  }

  /** A file that was damaged can be stored again. */
  @Test
  void whatWasRefusedIsComputedAnew() throws IOException {
    Files.write(file.path(), new byte[10]);
    assertTrue(find().isEmpty());
    rig.record(store, ids, 400);
    assertEquals(-1, Arrays.mismatch(sound, Files.readAllBytes(find().orElseThrow().path())));
  }
}
