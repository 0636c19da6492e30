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

/**
 * Writes stored keys, turned to new positions, and values to pages of a cache; layers in parallel,
 * some positions after the other, so that the tables of cosines and sines stay small.
 *
 * @param reader the stored file
 * @param layout what it holds
 * @param sites of all layers
 * @param storage of the cache
 * @param start position of the file's first token
 * @param places by group, where the positions are
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Placer(
    StoreReader reader,
    StoreLayout layout,
    List<KvSite> sites,
    KvStorage storage,
    int start,
    KvView[] places) {
  private static final int CHUNK = 512;

  /** Writes what the layers keep of the tokens at positions {@code from} to {@code to − 1}. */
  void place(int from, int to) {
    for (int at = from; at < to; at += CHUNK) {
      int first = at;
      int end = Math.min(to, at + CHUNK);
      Map<RotaryEmbedding, RotationTable> rotations = rotations(first, end);
      sites.parallelStream().forEach(site -> place(site, first, end, rotations));
    }
    IntStream.range(0, places.length).parallel().forEach(group -> summarise(group, from));
  }

  /** The tables that turn keys of these positions, if a layer has any of them. */
  private Map<RotaryEmbedding, RotationTable> rotations(int from, int to) {
    Map<RotaryEmbedding, RotationTable> rotations = new HashMap<>();
    for (KvSite site : sites) {
      if (site.rotary() != null && end(places(site)) > from && places(site).firstPosition(0) < to) {
        rotations.computeIfAbsent(site.rotary(), r -> new RotationTable(r, from, to - from));
      }
    }
    return rotations;
  }

  private KvView places(KvSite site) {
    return places[layout.spec().groupOf(site.layer())];
  }

  private static int end(KvView view) {
    int last = view.size() - 1;
    return view.firstPosition(last) + view.length(last);
  }

  private void place(KvSite site, int from, int to, Map<RotaryEmbedding, RotationTable> rotations) {
    KvSpec.Layer layer = layout.spec().layers().get(site.layer());
    RotationTable rotation = site.rotary() == null ? null : rotations.get(site.rotary());
    byte[] bytes = new byte[StoreLayout.recordBytes(layer)];
    float[] keys = new float[layer.heads() * layer.keySize()];
    float[] values = new float[layer.heads() * layer.valueSize()];
    KvView view = places(site);
    for (int i = 0; i < view.size(); i++) {
      int first = view.firstPosition(i);
      int end = Math.min(to, first + view.length(i));
      for (int p = Math.max(first, from); p < end; p++) {
        reader.read(site.layer(), p - start, bytes);
        decode(layer, bytes, keys, values);
        turn(layer, rotation, keys, p);
        storage.write(site.layer(), view.page(i), p - first, keys, 0, values, 0);
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

  private void summarise(int group, int from) {
    KvView view = places[group];
    for (int i = 0; i < view.size(); i++) {
      if (view.firstPosition(i) + view.length(i) > from) {
        storage.summarise(group, view.page(i), view.length(i));
      }
    }
  }
}
