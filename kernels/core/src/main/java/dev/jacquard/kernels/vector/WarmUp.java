package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Has the vector kernels compiled while a young process already computes. Until C2 has compiled it,
 * a kernel of the Vector API creates an object for every vector; {@link ScalarProduct} computes the
 * same bits, so nobody has to wait. A background thread runs each kernel on one tile until it
 * outruns the plain code, and then says so.
 */
final class WarmUp implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(WarmUp.class.getName());

  /** After this time the vector kernels are used, come what may. */
  private static final long PATIENCE_NANOS = 20_000_000_000L;

  /** Columns of the tile: a few blocks of any format. */
  private static final int COLUMNS = 512;

  /** Rows of activations that take every register tile. */
  private static final int[] PANEL_ROWS = {12, 8, 4};

  private final List<Kernel> kernels = new ArrayList<>();
  private final Thread thread = new Thread(this::run, "jacquard-warm-up");
  private volatile boolean closed;

  WarmUp() {
    thread.setDaemon(true);
  }

  /** A kind of kernel, and what of it is worth using. */
  static final class Kernel {
    private final PackedLayout layout;
    private final ElementFormat format;
    private volatile boolean row;
    private volatile boolean panels;

    private Kernel(PackedLayout layout, ElementFormat format) {
      this.layout = layout;
      this.format = format;
    }

    /** Whether the vector kernel is the faster one for this many rows of activations. */
    boolean isWarm(int rows) {
      return rows == 1 ? row : panels;
    }
  }

  /** The state of the kernel for {@code layout}, which packs {@code format}. */
  Kernel kernel(PackedLayout layout, ElementFormat format) {
    for (Kernel known : kernels) {
      if (known.layout.name().equals(layout.name())) {
        return known;
      }
    }
    Kernel kernel = new Kernel(layout, format);
    kernels.add(kernel);
    return kernel;
  }

  /** Starts the thread, after the last {@link #kernel}. */
  void start() {
    thread.start();
  }

  private void run() {
    long start = System.nanoTime();
    try {
      List<Trial> trials = kernels.stream().map(Trial::new).toList();
      boolean cold = true;
      while (cold && !closed && System.nanoTime() - start < PATIENCE_NANOS) {
        cold = false;
        for (Trial trial : trials) {
          cold |= !trial.run();
        }
      }
    } catch (RuntimeException | InternalError e) {
      LOG.log(Level.DEBUG, "warming up the vector kernels ended early", e);
    }
    for (Kernel kernel : kernels) {
      kernel.row = true;
      kernel.panels = true;
    }
  }

  /** One tile of zeros in the kernel's format, by both ways. */
  private static final class Trial {
    private final Kernel kernel;
    private final Tensor tensor;
    private final PackedMatrix packed;
    private final Activations x = new Activations(PANEL_ROWS[0], COLUMNS);
    private final float[] out = new float[PANEL_ROWS[0] * PackedMatrix.TILE];

    Trial(Kernel kernel) {
      this.kernel = kernel;
      ElementFormat format = kernel.format;
      MemorySegment rows = Arena.ofAuto().allocate(format.bytes(COLUMNS * PackedMatrix.TILE), 64);
      tensor = new Tensor(format, Shape.of(COLUMNS, PackedMatrix.TILE), rows);
      MemorySegment tile = Arena.ofAuto().allocate(kernel.layout.tileBytes(COLUMNS), 64);
      kernel.layout.packTile(tensor, 0, tile, 0);
      packed = kernel.layout.view(PackedMatrix.TILE, COLUMNS, tile);
    }

    /** Runs what is still cold; true if all is warm. */
    boolean run() {
      kernel.row |= outruns(1);
      if (!kernel.panels) {
        boolean all = true;
        for (int rows : PANEL_ROWS) {
          all &= outruns(rows);
        }
        kernel.panels = all;
      }
      return kernel.row && kernel.panels;
    }

    private boolean outruns(int rows) {
      x.begin(rows, COLUMNS);
      long start = System.nanoTime();
      packed.multiply(x, 0, 1, out, 0, PackedMatrix.TILE);
      long middle = System.nanoTime();
      ScalarProduct.multiplyTile(tensor, 0, x, out, 0, PackedMatrix.TILE);
      return middle - start < System.nanoTime() - middle;
    }
  }

  /** Ends the thread and waits for it. Twice does nothing. */
  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
