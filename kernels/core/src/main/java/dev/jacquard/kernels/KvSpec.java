package dev.jacquard.kernels;

import java.util.List;

/**
 * What the layers of a model remember of each token. Layers with the same window form a
 * <em>group</em>: their pages live and die together, so they share one page table per sequence.
 *
 * @param layers one entry per layer that caches keys and values, in layer order
 */
public record KvSpec(List<Layer> layers) {
  /**
   * One layer's keys and values.
   *
   * @param heads key/value heads
   * @param keySize values of a key head
   * @param valueSize values of a value head
   * @param window positions that stay visible, or 0 for all
   */
  public record Layer(int heads, int keySize, int valueSize, int window) {}

  /** Copies. */
  public KvSpec {
    layers = List.copyOf(layers);
  }

  /** The windows of the groups, in order of first appearance; 0 = everything stays visible. */
  public List<Integer> groupWindows() {
    return layers.stream().map(Layer::window).distinct().toList();
  }

  /** The group that {@code layer} belongs to. */
  public int groupOf(int layer) {
    return groupWindows().indexOf(layers.get(layer).window());
  }

  /** Bytes that one token leaves in the layers of a group. */
  public double tokenBytes(int group, KvFormat format) {
    int window = groupWindows().get(group);
    return layers.stream().filter(l -> l.window() == window).mapToDouble(format::tokenBytes).sum();
  }

  /** Bytes that reading one token whole takes in the layers of a group. */
  public long readBytes(int group, KvFormat format) {
    int window = groupWindows().get(group);
    return layers.stream().filter(l -> l.window() == window).mapToLong(format::readBytes).sum();
  }
}
