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
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KvStoreTest {
  @TempDir private Path folder = Path.of("");
  private final StoreRig rig = new StoreRig("llama", "reference", KvFormat.F32);

  @AfterEach
  void close() {
    rig.close();
  }

  private StoredFile record(KvStore store, int seed) {
    return rig.record(store, rig.ids(seed, 50), 400);
  }

  private static void age(StoredFile file, int minutes) throws IOException {
    Instant then = Instant.now().minus(Duration.ofMinutes(minutes));
    Files.setLastModifiedTime(file.path(), FileTime.from(then));
  }

  private static boolean exists(StoredFile file) {
    return Files.exists(file.path());
  }

  @Test
  void whatWasNotUsedForLongestGoesFirst() throws IOException {
    long bytes = record(rig.store(folder.resolve("size"), 1 << 30), 1).bytes();
    KvStore store = rig.store(folder, 3 * bytes + bytes / 2);
    StoredFile first = record(store, 1);
    StoredFile second = record(store, 2);
    StoredFile third = record(store, 3);
    age(first, 3);
    age(second, 2);
    age(third, 1);
    try (KvSequence sequence = rig.cache.newSequence()) {
      store.place(first, 0, 50, sequence, rig.storage()); // used now
    }
    StoredFile fourth = record(store, 4);
    assertEquals(
        List.of(true, false, true, true),
        List.of(exists(first), exists(second), exists(third), exists(fourth)));
    assertEquals(1, store.evicted());
    StoredFile fifth = record(store, 5);
    assertFalse(exists(third));
    assertTrue(exists(fifth));
    long total = KvStore.entries(folder).stream().mapToLong(KvStore.Entry::bytes).sum();
    assertEquals(3 * bytes, total);

    record(store, 5); // replaces itself
    assertTrue(exists(first) && exists(fourth) && exists(fifth));
  }

  @Test
  void theBoundHoldsForFilesOfOtherProcessesToo() throws IOException {
    long bytes = record(rig.store(folder.resolve("size"), 1 << 30), 1).bytes();
    for (int seed = 1; seed <= 4; seed++) {
      record(rig.store(folder, 1 << 30), seed);
    }
    record(rig.store(folder, 2 * bytes), 5);
    assertEquals(2, KvStore.entries(folder).size());
  }

  @Test
  void whatIsLargerThanTheStoreIsRefused() {
    KvStore store = rig.store(folder, 1000);
    KvStoreException e = assertThrows(KvStoreException.class, () -> record(store, 1));
    assertTrue(String.valueOf(e.getMessage()).contains("(1000); allow it more"), e.getMessage());
    assertThrows(
        IllegalArgumentException.class, () -> store.record(StoreRig.LEAD, new int[0]).close());
  }

  @Test
  void aRecorderThatIsNotFinishedLeavesNothing() throws IOException {
    KvStore store = rig.store(folder, 1 << 30);
    int[] ids = rig.ids(1, 50);
    try (KvRecorder recorder = store.record(StoreRig.LEAD, ids)) {
      assertThrows(IllegalStateException.class, recorder::finish);
    }
    try (var left = Files.list(folder)) {
      assertEquals(0, left.count());
    }
  }

  @Test
  void abandonedPartsAreRemovedAndOthersAreNot() throws IOException {
    Path abandoned = Files.createTempFile(folder, "x", KvStore.PART_SUFFIX);
    Path fresh = Files.createTempFile(folder, "y", KvStore.PART_SUFFIX);
    FileTime old = FileTime.from(Instant.now().minus(Duration.ofHours(1)));
    Files.setLastModifiedTime(abandoned, old);
    KvStore store = rig.store(folder, 1 << 30);
    assertFalse(Files.exists(abandoned));
    assertTrue(Files.exists(fresh), "its writer may not have locked it yet");
    try (KvRecorder _ = store.record(StoreRig.LEAD, rig.ids(1, 50));
        var parts = Files.list(folder)) {
      Path written = parts.filter(p -> !p.equals(fresh)).findFirst().orElseThrow();
      Files.setLastModifiedTime(written, old);
      rig.store(folder, 1 << 30);
      assertTrue(Files.exists(written), "it is locked by its writer");
    }
  }

  @Test
  void clearRemovesAllFiles() throws IOException {
    KvStore store = rig.store(folder, 1 << 30);
    record(store, 1);
    record(store, 2);
    assertEquals(2, KvStore.clear(folder).size());
    assertEquals(List.of(), KvStore.entries(folder));
    assertEquals(List.of(), KvStore.clear(folder.resolve("none")));
  }

  @Test
  void aFolderThatCannotBeIsNamed() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");
    KvStoreException e = assertThrows(KvStoreException.class, () -> rig.store(file, 1));
    assertTrue(String.valueOf(e.getMessage()).startsWith(file + ": cannot be used"));
  }
}
