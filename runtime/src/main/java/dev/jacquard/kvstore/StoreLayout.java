package dev.jacquard.kvstore;

import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * A file of the store, all numbers little-endian:
 *
 * <pre>
 *  magic int64 | version int32 | header bytes int32
 *  model bytes int32 | lead int32 | tokens int32 | layers int32
 *  model UTF-8 | lead ids int32 … | ids int32 …
 *  per layer: heads, key size, value size, window int32
 *  per layer: CRC32C of its records int32                      ← known when all is computed
 *  CRC32C of the header up to here int32
 *  per layer: records, one for each token that is kept
 *
 *  record:  keys of all heads | values of all heads            see {@link Q8Vectors}
 * </pre>
 *
 * A layer without a window keeps all tokens. A layer with a window keeps the last {@code window +
 * SLACK}: what comes after the file sees {@code window − 1} of them, a sequence can go back by
 * {@link PagedKvCache#SLACK}, and the last token may be left out when the others are placed.
 *
 * <p>All of the header but the checksums follows from what is looked for, so it is compared byte
 * for byte.
 *
 * @param model name of the model's content
 * @param spec what its layers remember
 * @param lead ids that stood before the file's when it was computed, as BOS; not kept
 * @param ids the file's tokens
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record StoreLayout(String model, KvSpec spec, int[] lead, int[] ids) {
  static final long MAGIC = 0x31564b2e64726a2eL; // ".jrd.KV1"
  static final int VERSION = 1;

  /** Bytes up to and with the number of layers. */
  static final int FIXED_BYTES = 32;

  /** Bytes of keys and values of a token in a layer. */
  static int recordBytes(KvSpec.Layer layer) {
    return keyBytes(layer) + layer.heads() * QuantizedKv.valueBytes(layer.valueSize());
  }

  /** Bytes of the keys of a token in a layer. */
  static int keyBytes(KvSpec.Layer layer) {
    return layer.heads() * QuantizedKv.keyBytes(layer.keySize());
  }

  /** The first token that is kept in a layer, counted in the file. */
  int firstKept(int layer) {
    int window = spec.layers().get(layer).window();
    return window == 0 ? 0 : Math.max(0, ids.length - window - PagedKvCache.SLACK);
  }

  /** Where the records of a layer begin. */
  long sectionStart(int layer) {
    long at = headerBytes();
    for (int l = 0; l < layer; l++) {
      at += sectionBytes(l);
    }
    return at;
  }

  /** Bytes of the records of a layer. */
  long sectionBytes(int layer) {
    return (long) (ids.length - firstKept(layer)) * recordBytes(spec.layers().get(layer));
  }

  /** Bytes of the whole file. */
  long fileBytes() {
    return sectionStart(spec.layers().size());
  }

  /** Where the checksums of the layers begin. */
  int checksumsStart() {
    return headerBytes() - Integer.BYTES * (spec.layers().size() + 1);
  }

  int headerBytes() {
    int perLayer = 5 * Integer.BYTES;
    return FIXED_BYTES
        + modelBytes().length
        + Integer.BYTES * (lead.length + ids.length + 1)
        + perLayer * spec.layers().size();
  }

  private byte[] modelBytes() {
    return model.getBytes(StandardCharsets.UTF_8);
  }

  /** The header of a file whose layers have these checksums. */
  byte[] header(int[] checksums) {
    byte[] modelBytes = modelBytes();
    ByteBuffer out = ByteBuffer.allocate(headerBytes()).order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(MAGIC).putInt(VERSION).putInt(headerBytes());
    out.putInt(modelBytes.length).putInt(lead.length).putInt(ids.length);
    out.putInt(spec.layers().size()).put(modelBytes);
    for (int id : lead) {
      out.putInt(id);
    }
    for (int id : ids) {
      out.putInt(id);
    }
    for (KvSpec.Layer layer : spec.layers()) {
      out.putInt(layer.heads()).putInt(layer.keySize());
      out.putInt(layer.valueSize()).putInt(layer.window());
    }
    for (int checksum : checksums) {
      out.putInt(checksum);
    }
    CRC32C crc = new CRC32C();
    crc.update(out.array(), 0, out.position());
    out.putInt((int) crc.getValue());
    return out.array();
  }

  /** The name of the file: all of the header but the checksums, hashed. */
  String fileName() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(header(new int[spec.layers().size()]), 0, checksumsStart());
      return HexFormat.of().formatHex(digest.digest(), 0, 16) + KvStore.SUFFIX;
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
