package dev.jacquard.kernels.vector;

/**
 * Rows of activations in the form that kernels read, prepared once per input and shared by all
 * matrices that are applied to it. Use: {@link #begin}, then {@link #prepare} for all panels (by
 * any threads, disjoint), then, after a barrier, any number of products.
 *
 * <p>Rows stand in panels of {@link #PANEL}, interleaved, the last one filled up with zeros; a
 * single row stands alone:
 *
 * <pre>
 *  one row:    a[0] a[1] a[2] …
 *  panel:      a0[0] a1[0] a2[0] a3[0]  a0[1] a1[1] a2[1] a3[1] …
 * </pre>
 */
final class Activations {
  /** Rows of a panel. */
  static final int PANEL = 4;

  private final int capacity;
  private int rows;
  private int columns;

  /** Floats, panel after panel. */
  final float[] floats;

  /**
   * Buffers.
   *
   * @param maxRows most rows
   * @param maxColumns most columns
   */
  Activations(int maxRows, int maxColumns) {
    int padded = (maxRows + PANEL - 1) / PANEL * PANEL;
    capacity = Math.multiplyExact(padded, maxColumns);
    floats = new float[capacity];
  }

  /** Starts a new input. */
  void begin(int rows, int columns) {
    this.rows = rows;
    this.columns = columns;
    if (panels() * width() * columns > capacity) {
      throw new IllegalArgumentException(
          rows + " rows of " + columns + " columns exceed buffers of " + capacity);
    }
  }

  int rows() {
    return rows;
  }

  int columns() {
    return columns;
  }

  /** Panels of this input: the unit that preparing is divided by. */
  int panels() {
    return (rows + PANEL - 1) / PANEL;
  }

  /** Rows that each panel has room for: 1 if there is a single row, else {@link #PANEL}. */
  int width() {
    return rows == 1 ? 1 : PANEL;
  }

  /**
   * Prepares panels {@code firstPanel} to {@code lastPanel} − 1 from rows {@code source[offset +
   * row·stride …]} (row counted over the whole input).
   */
  void prepare(float[] source, int offset, int stride, int firstPanel, int lastPanel) {
    for (int panel = firstPanel; panel < lastPanel; panel++) {
      preparePanel(source, offset, stride, panel);
    }
  }

  private void preparePanel(float[] source, int offset, int stride, int panel) {
    if (rows == 1) {
      System.arraycopy(source, offset, floats, 0, columns);
      return;
    }
    int base = panel * PANEL * columns;
    for (int i = 0; i < PANEL; i++) {
      int row = panel * PANEL + i;
      if (row < rows) {
        int from = offset + row * stride;
        for (int k = 0; k < columns; k++) {
          floats[base + k * PANEL + i] = source[from + k];
        }
      } else {
        for (int k = 0; k < columns; k++) {
          floats[base + k * PANEL + i] = 0;
        }
      }
    }
  }
}
