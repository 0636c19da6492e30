package dev.jacquard.evaluation.attention;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.calibration.BasisStore;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.calibration.CalibrationText;
import dev.jacquard.calibration.Calibrator;
import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.memory.AvailableMemory;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.session.WeightCache;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A model under examination: its compiled program and a cache of several sequences, stepped by the
 * caller, without engine or session. So an {@link Executable.Observer} can look at queries and
 * change what attention reads. Used by one thread at a time; the caller closes it.
 */
public final class AttentionLab implements AutoCloseable {
  private static final System.Logger LOGGER = System.getLogger(AttentionLab.class.getName());

  private final Deque<Runnable> closers = new ArrayDeque<>();
  private final ModelFile file;
  private final Program program;
  private final Tokenizer tokenizer;
  private final Backend backend;
  private final int outputs;
  private final Executable executable;
  private final PagedKvCache cache;
  private final StepInputs inputs;
  private final List<GlobalLayer> layers;
  private String basisText = "";

  /**
   * Opens a model.
   *
   * @param backend name of the backend, or {@code auto}
   * @param rows most tokens of a step
   * @param format of the cache; the classes other than DENSE need {@link KvFormat#Q8}
   * @param progress told the finished share while weights are repacked
   */
  public static AttentionLab open(
      Path model, String backend, int threads, int rows, KvFormat format, DoubleConsumer progress) {
    Deque<Runnable> closers = new ArrayDeque<>();
    try {
      return new AttentionLab(model, backend, threads, rows, format, progress, closers);
    } catch (RuntimeException | Error e) {
      closers.forEach(Runnable::run);
      throw e;
    }
  }

  private AttentionLab(
      Path model,
      String backendName,
      int threads,
      int rows,
      KvFormat format,
      DoubleConsumer progress,
      Deque<Runnable> opened) {
    file = ModelFile.open(model);
    opened.push(file::close);
    String architecture = file.metadata().architecture();
    program =
        Architectures.byName(architecture)
            .orElseThrow(
                () ->
                    file.metadata()
                        .fault("general.architecture", "one that is known here", architecture))
            .program(file);
    tokenizer = Tokenizers.of(file.metadata());
    backend = Backends.open(backendName, new BackendOptions(threads));
    opened.push(backend::close);
    outputs = Math.min(rows, Calibrator.MOST_OUTPUTS);
    executable = backend.compile(program, new CompileOptions(rows, outputs, null, progress));
    opened.push(executable::close);
    cache =
        new PagedKvCache(backend.allocateKv(program.kv(), format), AvailableMemory.now().bytes());
    opened.push(cache::close);
    inputs = new StepInputs(rows, program.kv().groupWindows().size());
    layers = GlobalLayer.of(program.ops(), program.kv());
    closers.addAll(opened);
  }

  /** The model's file. */
  public ModelFile file() {
    return file;
  }

  /** Its tokenizer. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** What it computes. */
  public Program program() {
    return program;
  }

  /** What computes it, in a line. */
  public String backendDescription() {
    return backend.description();
  }

  /** Most tokens of a sequence: the model's own limit. */
  public int context() {
    return file.metadata().integer(file.metadata().architecture() + ".context_length");
  }

  /** Number of token ids. */
  public int vocabulary() {
    return program.logits().width();
  }

  /** Layers without a window. */
  List<GlobalLayer> layers() {
    return layers;
  }

  Executable executable() {
    return executable;
  }

  StepInputs inputs() {
    return inputs;
  }

  /** The memory of keys and values. */
  public KvStorage storage() {
    return cache.storage();
  }

  /**
   * Sees to it that keys are sketched from now on: with the bases that were saved for this model,
   * or else with new ones, made from the bundled text and not from the one that is evaluated, which
   * are saved in the cache folder. Does nothing for a cache of another format than Q8, or without
   * layers that can be sketched.
   *
   * @param progress told the finished share while bases are made
   */
  public void sketch(DoubleConsumer progress) {
    Calibrator calibrator =
        new Calibrator(backend, executable, program, inputs.maxRows(), outputs, context());
    if (storage().format() != KvFormat.Q8 || !calibrator.possible()) {
      return;
    }
    BasisStore store = new BasisStore(file, program.kv(), WeightCache.folder().orElse(null));
    Calibration calibration =
        store
            .load()
            .orElseGet(
                () -> {
                  int[] ids = tokenizer.encode(CalibrationText.bundled(), Tokenizer.Options.PLAIN);
                  int count = Math.min(ids.length, Calibrator.DEFAULT_TOKENS);
                  Calibration made =
                      calibrator.calibrate(
                          lead(), Arrays.copyOf(ids, count), CalibrationText.SOURCE, progress);
                  Optional<Path> saved = store.saveInCache(made);
                  LOGGER.log(Level.DEBUG, "bases of sketches: {0}", saved);
                  return made;
                });
    calibration.applyTo(storage());
    basisText = calibration.source();
  }

  /** What text the bases of the sketches were made from; empty without bases. */
  public String basisText() {
    return basisText;
  }

  /** Tokens that begin every text, as BOS. */
  private int[] lead() {
    int[] added = tokenizer.encode("", Tokenizer.Options.DEFAULT);
    return added.length > 0 && added[0] == tokenizer.bos() ? new int[] {added[0]} : new int[0];
  }

  /** Whether the keys of all global layers are sketched. */
  public boolean sketched() {
    return layers.stream().allMatch(layer -> storage().sketched(layer.index()));
  }

  /** A new, empty sequence; the caller closes it. */
  public KvSequence newSequence() {
    return cache.newSequence();
  }

  /**
   * Computes {@code tokens[sequence.length() … to)} densely.
   *
   * @param progress told the finished share
   */
  public void prefill(KvSequence sequence, int[] tokens, int to, DoubleConsumer progress) {
    prefill(sequence, tokens, to, Exactness.DENSE, progress);
  }

  /**
   * Computes {@code tokens[sequence.length() … to)} with a class; returns the share of the bytes of
   * DENSE that it read of the layers without a window, 1 if there was nothing to read.
   *
   * @param progress told the finished share
   */
  double prefill(
      KvSequence sequence, int[] tokens, int to, Exactness exactness, DoubleConsumer progress) {
    int first = sequence.length();
    double read = 0;
    double dense = 0;
    while (sequence.length() < to) {
      int from = sequence.length();
      int end = Math.min(to, from + inputs.maxRows());
      inputs.clear();
      sequence.append(inputs, tokens, from, end, 0, _ -> exactness);
      executable.run(inputs, cache.storage(), null);
      for (int row = 0; row < end - from; row++) {
        AttentionReport.Row report = executable.attention().row(row);
        long all = denseBytes(from + row);
        read += report.bytesRead() - (report.bytesDense() - all);
        dense += all;
      }
      progress.accept((end - first) / (double) (to - first));
    }
    return dense == 0 ? 1 : read / dense;
  }

  /** Bytes of the layers without a window that DENSE reads at a position. */
  long denseBytes(int position) {
    return layers.stream().mapToLong(layer -> layer.tokenBytes() * (position + 1)).sum();
  }

  /**
   * Computes one token.
   *
   * @param observer told after each op, or null
   * @param logits where the logits after the token go
   */
  public AttentionReport.Row decode(
      KvSequence sequence,
      int token,
      Exactness exactness,
      Executable.@Nullable Observer observer,
      float[] logits) {
    inputs.clear();
    sequence.append(inputs, new int[] {token}, 0, 1, 1, _ -> exactness);
    executable.run(inputs, cache.storage(), observer);
    executable.read(program.logits(), 0, logits, 0);
    return executable.attention().row(0);
  }

  /** Frees everything. Twice does nothing. */
  @Override
  public void close() {
    while (!closers.isEmpty()) {
      closers.pop().run();
    }
  }
}
