package dev.jacquard.benchmarks;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.StepInputs;

/** Keys and values that come from elsewhere than a prompt, so that long texts cost no prefill. */
final class CacheFill {
  /** Where they come from. */
  interface Source {
    /** Writes keys and values, all heads, of a position of a layer. */
    void read(int layer, int position, float[] keys, float[] values);
  }

  private CacheFill() {}

  /** Appends {@code count} tokens to {@code sequence}. */
  static void append(
      KvSequence sequence, StepInputs inputs, KvStorage storage, int count, Source source) {
    int[] tokens = new int[inputs.maxRows()];
    KvSpec spec = storage.spec();
    for (int done = 0; done < count; ) {
      int rows = Math.min(inputs.maxRows(), count - done);
      inputs.clear();
      sequence.append(inputs, tokens, 0, rows, 0, AttentionPolicy.DENSE);
      for (int layer = 0; layer < spec.layers().size(); layer++) {
        write(inputs, storage, layer, rows, source);
      }
      for (int group = 0; group < spec.groupWindows().size(); group++) {
        summarise(inputs, storage, group, rows);
      }
      done += rows;
    }
  }

  private static void write(
      StepInputs inputs, KvStorage storage, int layer, int rows, Source source) {
    KvSpec.Layer l = storage.spec().layers().get(layer);
    int group = storage.spec().groupOf(layer);
    float[] keys = new float[l.heads() * l.keySize()];
    float[] values = new float[l.heads() * l.valueSize()];
    for (int row = 0; row < rows; row++) {
      source.read(layer, inputs.position(row), keys, values);
      storage.write(
          layer, inputs.writePage(group, row), inputs.writeOffset(group, row), keys, 0, values, 0);
    }
  }

  private static void summarise(StepInputs inputs, KvStorage storage, int group, int rows) {
    for (int row = 0; row < rows; row++) {
      int offset = inputs.writeOffset(group, row);
      if (offset == PAGE_TOKENS - 1 || row == rows - 1) {
        storage.summarise(group, inputs.writePage(group, row), offset + 1);
      }
    }
  }
}
