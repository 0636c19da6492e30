package dev.jacquard.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Slot;
import java.util.LinkedHashMap;
import java.util.Map;

/** Rows of result slots, by slot, sequence and position. */
public final class Results {
  private record Key(Slot slot, int sequence, int position) {}

  private final Map<Key, float[]> rows = new LinkedHashMap<>();

  /** Empty results. */
  public Results() {}

  /** Adds a row. */
  public void put(Slot slot, int sequence, int position, float[] values) {
    rows.put(new Key(slot, sequence, position), values);
  }

  /** Copies the rows of a position of the first sequence. */
  void copy(int position, Results to) {
    rows.forEach(
        (key, row) -> {
          if (key.position == position && key.sequence == 0) {
            to.rows.put(key, row);
          }
        });
  }

  /** Some value of a position is not a number. */
  void requireNotANumber(int position) {
    Results some = new Results();
    copy(position, some);
    boolean found = false;
    for (float[] row : some.rows.values()) {
      for (float value : row) {
        found |= Float.isNaN(value);
      }
    }
    assertTrue(found, "position " + position + " should hold something that is not a number");
  }

  /** Every row is there in both, with the same bits. */
  public void requireSameBits(Results other, String what) {
    assertEquals(rows.keySet(), other.rows.keySet(), what);
    rows.forEach((key, row) -> assertArrayEquals(row, other.rows.get(key), what + ": " + key));
  }

  /** Every row is there in both, and the values differ from {@code truth} within {@code bound}. */
  public void requireClose(Results truth, double bound, String what) {
    assertEquals(truth.rows.keySet(), rows.keySet(), what);
    double squares = 0;
    double errors = 0;
    long count = 0;
    for (Map.Entry<Key, float[]> entry : truth.rows.entrySet()) {
      float[] expected = entry.getValue();
      float[] found = row(entry.getKey());
      for (int i = 0; i < expected.length; i++) {
        squares += (double) expected[i] * expected[i];
        double error = (double) found[i] - expected[i];
        errors += error * error;
      }
      count += expected.length;
    }
    double size = Math.sqrt(squares / count);
    double error = Math.sqrt(errors / count) / size;
    assertTrue(size > 0 && error <= bound, what + ": error " + error + ", allowed " + bound);
    requireNoOutlier(truth, ErrorBounds.SINGLE * bound * size, what);
  }

  private void requireNoOutlier(Results truth, double allowed, String what) {
    for (Map.Entry<Key, float[]> entry : truth.rows.entrySet()) {
      float[] expected = entry.getValue();
      float[] found = row(entry.getKey());
      for (int i = 0; i < expected.length; i++) {
        if (!(Math.abs((double) found[i] - expected[i]) <= allowed)) {
          throw new AssertionError(
              "%s: %s, column %d: expected %s, found %s"
                  .formatted(what, entry.getKey(), i, expected[i], found[i]));
        }
      }
    }
  }

  private float[] row(Key key) {
    float[] row = rows.get(key);
    if (row == null) {
      throw new AssertionError("no row " + key);
    }
    return row;
  }
}
