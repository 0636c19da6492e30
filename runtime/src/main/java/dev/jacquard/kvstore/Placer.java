package dev.jacquard.kvstore;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.RotaryEmbedding;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Writes stored keys, turned to new positions, and values to pages of a cache. */
final class Placer {
  private final StoreReader reader;
  private final StoreLayout layout;
  private final KvStorage storage;
  private final Map<RotaryEmbedding, RotationTable> rotations = new HashMap<>();

  /**
   * A placer.
   *
   * @param count tokens that are placed, from position {@code position} on
   */
  Placer(
      StoreReader reader,
      StoreLayout layout,
      List<KvSite> sites,
      KvStorage storage,
      int position,
      int count) {
    this.reader = reader;
    this.layout = layout;
    this.storage = storage;
    for (KvSite site : sites) {
      if (site.rotary() != null) {
        rotations.computeIfAbsent(site.rotary(), r -> new RotationTable(r, position, count));
      }
    }
  }

  /**
   * Writes what the layers keep of the tokens.
   *
   * @param start position of the file's first token
   * @param from the first position to write
   * @param places by group, where the positions from {@code from} on are
   */
  void place(List<KvSite> sites, int start, int from, KvView[] places) {
    sites.stream()
        .parallel()
        .forEach(site -> place(site, start, from, places[layout.spec().groupOf(site.layer())]));
    IntStream.range(0, places.length)
        .parallel()
        .forEach(group -> summarise(group, from, places[group]));
  }

  private void place(KvSite site, int start, int from, KvView places) {
    KvSpec.Layer layer = layout.spec().layers().get(site.layer());
    RotationTable rotation = site.rotary() == null ? null : rotations.get(site.rotary());
    byte[] bytes = new byte[StoreLayout.recordBytes(layer)];
    float[] keys = new float[layer.heads() * layer.keySize()];
    float[] values = new float[layer.heads() * layer.valueSize()];
    for (int i = 0; i < places.size(); i++) {
      int first = places.firstPosition(i);
      for (int p = Math.max(first, from); p < first + places.length(i); p++) {
        reader.read(site.layer(), p - start, bytes);
        decode(layer, bytes, keys, values);
        turn(layer, rotation, keys, p);
        storage.write(site.layer(), places.page(i), p - first, keys, 0, values, 0);
      }
    }
  }

  private static void decode(KvSpec.Layer layer, byte[] bytes, float[] keys, float[] values) {
    int at = 0;
    for (int head = 0; head < layer.heads(); head++) {
      Q8Vectors.decode(bytes, at, layer.keySize(), keys, head * layer.keySize());
      at += QuantizedKv.keyBytes(layer.keySize());
    }
    for (int head = 0; head < layer.heads(); head++) {
      Q8Vectors.decode(bytes, at, layer.valueSize(), values, head * layer.valueSize());
      at += QuantizedKv.valueBytes(layer.valueSize());
    }
  }

  private static void turn(
      KvSpec.Layer layer, @Nullable RotationTable rotation, float[] keys, int position) {
    if (rotation != null) {
      for (int head = 0; head < layer.heads(); head++) {
        rotation.turn(keys, head * layer.keySize(), position);
      }
    }
  }

  private void summarise(int group, int from, KvView places) {
    for (int i = 0; i < places.size(); i++) {
      if (places.firstPosition(i) + places.length(i) > from) {
        storage.summarise(group, places.page(i), places.length(i));
      }
    }
  }
}
