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
 * same bits, so nobody has to wait. A background thread runs the kernels that are asked for on one
 * tile until they outrun the plain code.
 */
final class WarmUp implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(WarmUp.class.getName());

  /**
   * Tests set the property {@code jacquard.vector.warmup} to {@code false}: then the vector kernels
   * compute from the start.
   */
  private static final boolean ENABLED =
      !System.getProperty("jacquard.vector.warmup", "true").equals("false");

  /** Plain code takes longer over more than this than the kernels take to be compiled. */
  private static final long SMALL = 128L << 20;

  /** Lets a short prompt through first: compiling would take its cores away. */
  private static final long DELAY_MILLIS = 300;

  /** How often the thread looks whether a cold kernel is asked for. */
  private static final long PAUSE_MILLIS = 5;

  /** After trying for so long a vector kernel is used, come what may. */
  private static final long PATIENCE_NANOS = 5_000_000_000L;

  /** How often in a row a kernel has to win: one turn may have been interrupted. */
  private static final int WINS = 3;

  /** Columns of the tile: a few blocks of any format. */
  private static final int COLUMNS = 512;

  /** Rows of activations that take every register tile. */
  private static final int[] PANELS = {12, 8, 4};

  private static final int[] ROW = {1};

  private final List<Kernel> kernels = new ArrayList<>();
  private final Thread thread = new Thread(this::run, "jacquard-warm-up");

  private final boolean useful;

  /**
   * A warm-up for the kernels of a model.
   *
   * @param bytes size of its packed weights
   */
  WarmUp(long bytes) {
    useful = ENABLED && bytes < SMALL;
    thread.setDaemon(true);
  }

  /** What is known of the kernels of one layout. */
  static final class Kernel {
    private final PackedLayout layout;
    private final ElementFormat format;
    private final Temperature row;
    private final Temperature panels;

    private Kernel(PackedLayout layout, ElementFormat format, boolean warm) {
      this.layout = layout;
      this.format = format;
      row = new Temperature(ROW, warm);
      panels = new Temperature(PANELS, warm);
    }

    /** Whether the vector kernel is the faster one for this many rows; if not, it shall be. */
    boolean isWarm(int rows) {
      return (rows == 1 ? row : panels).isWarm();
    }
  }

  /**
   * Whether a kernel is worth using, written by the background thread, and whether it is wanted.
   */
  private static final class Temperature {
    private final int[] rows;
    private long nanosTried;
    private int wins;
    private volatile boolean warm;
    private volatile boolean wanted;

    Temperature(int[] rows, boolean warm) {
      this.rows = rows;
      this.warm = warm;
    }

    boolean isWarm() {
      if (!warm) {
        wanted = true;
      }
      return warm;
    }

    /** Tries the kernel once if it is wanted; false if there was nothing to do. */
    boolean raise(Trial trial) {
      if (warm || !wanted) {
        return false;
      }
      wanted = false;
      long start = System.nanoTime();
      boolean outruns = true;
      for (int n : rows) {
        outruns &= trial.vectorOutrunsScalar(n);
      }
      nanosTried += System.nanoTime() - start;
      wins = outruns ? wins + 1 : 0;
      warm = wins == WINS || nanosTried > PATIENCE_NANOS;
      return true;
    }
  }

  /** The state of the kernels for {@code layout}, which packs {@code format}. */
  Kernel kernel(PackedLayout layout, ElementFormat format) {
    for (Kernel known : kernels) {
      if (known.layout.name().equals(layout.name())) {
        return known;
      }
    }
    Kernel kernel = new Kernel(layout, format, !useful);
    kernels.add(kernel);
    return kernel;
  }

  /** Starts the thread, after the last {@link #kernel}. */
  void start() {
    if (useful) {
      thread.start();
    }
  }

  private void run() {
    try {
      Thread.sleep(DELAY_MILLIS);
      List<Trial> trials = kernels.stream().map(Trial::new).toList();
      while (!Thread.interrupted()
          && !kernels.stream().allMatch(k -> k.row.warm && k.panels.warm)) {
        boolean idle = true;
        for (Trial trial : trials) {
          idle &= !trial.kernel.row.raise(trial);
          idle &= !trial.kernel.panels.raise(trial);
        }
        if (idle) {
          Thread.sleep(PAUSE_MILLIS);
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.DEBUG, "closed before all vector kernels were warm");
    }
  }

  /** One tile of zeros in the kernel's format, by both ways. */
  private static final class Trial {
    private final Kernel kernel;
    private final Tensor stored;
    private final PackedMatrix packed;
    private final Activations x = new Activations(PANELS[0], COLUMNS);
    private final float[] out = new float[PANELS[0] * PackedMatrix.TILE];

    Trial(Kernel kernel) {
      this.kernel = kernel;
      ElementFormat format = kernel.format;
      MemorySegment rows = Arena.ofAuto().allocate(format.bytes(COLUMNS * PackedMatrix.TILE), 64);
      stored = new Tensor(format, Shape.of(COLUMNS, PackedMatrix.TILE), rows);
      MemorySegment tile = Arena.ofAuto().allocate(kernel.layout.tileBytes(COLUMNS), 64);
      kernel.layout.packTile(stored, 0, tile, 0);
      packed = kernel.layout.view(PackedMatrix.TILE, COLUMNS, tile);
    }

    boolean vectorOutrunsScalar(int rows) {
      x.begin(rows, COLUMNS);
      long start = System.nanoTime();
      packed.multiply(x, 0, 1, out, 0, PackedMatrix.TILE);
      long middle = System.nanoTime();
      ScalarProduct.multiplyTile(stored, 0, x, out, 0, PackedMatrix.TILE);
      return middle - start < System.nanoTime() - middle;
    }
  }

  /** Ends the thread and waits for it. Twice does nothing. */
  @Override
  public void close() {
    thread.interrupt();
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
