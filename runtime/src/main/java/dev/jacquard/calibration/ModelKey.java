package dev.jacquard.calibration;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Names the weights that bases were made for: a SHA-256 over names, formats and shapes of all
 * tensors and samples of their bytes. Unlike {@link ModelFile#fingerprint} it does not look at the
 * metadata: a model with another chat template has the same bases.
 */
final class ModelKey {
  private static final int SAMPLES = 4;
  private static final int SAMPLE_BYTES = 256;

  private ModelKey() {}

  /** The key of a model whose tensors can be decoded, in hexadecimal. */
  static String of(ModelFile file) {
    file.requireIntact();
    MessageDigest digest = sha256();
    for (TensorInfo info : file.tensors()) {
      digest.update(
          (info.name() + " " + info.type() + " " + info.shape() + "\n")
              .getBytes(StandardCharsets.UTF_8));
      file.tensor(info.name()).map(Tensor::data).ifPresent(data -> sample(digest, data));
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void sample(MessageDigest digest, MemorySegment data) {
    long last = Math.max(0, data.byteSize() - SAMPLE_BYTES);
    for (int i = 0; i < SAMPLES; i++) {
      long start = last / (SAMPLES - 1) * i;
      digest.update(
          data.asSlice(start, Math.min(SAMPLE_BYTES, data.byteSize() - start)).asByteBuffer());
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
