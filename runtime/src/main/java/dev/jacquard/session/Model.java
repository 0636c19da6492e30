package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.calibration.SavedCalibration;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.kvstore.KvRecorder;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.StoredFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.neurons.ColumnNorms;
import dev.jacquard.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.function.DoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * An open model: weights, tokenizer, backend and engine thread, shared by its sessions. Any thread
 * may call it; whoever opened it closes it.
 */
public final class Model implements AutoCloseable {
  /** Ends the name of what says how many tokens an architecture was trained for. */
  static final String CONTEXT_KEY = ".context_length";

  private final ModelFile file;
  private final Tokenizer tokenizer;
  private final Program program;
  private final Backend backend;
  private final Engine engine;
  private final StepCost stepCost;
  private final int context;
  private final int maxOutputs;
  private final Resources resources;
  private final BitSet endOfGeneration = new BitSet();

  /** Norms of columns of W_down, once a request needed them. */
  private @Nullable ColumnNorms columnNorms;

  /** The name of the model's content, once a store needed it. */
  private @Nullable String name;

  /** Takes over {@code resources}, which close all the others in the right order. */
  Model(
      ModelFile file,
      Tokenizer tokenizer,
      Program program,
      Backend backend,
      Engine engine,
      StepCost stepCost,
      int context,
      int maxOutputs,
      Resources resources) {
    this.file = file;
    this.tokenizer = tokenizer;
    this.program = program;
    this.backend = backend;
    this.engine = engine;
    this.stepCost = stepCost;
    this.context = context;
    this.maxOutputs = maxOutputs;
    this.resources = resources;
    tokenizer.endOfGeneration().forEach(endOfGeneration::set);
  }

  /** The mapped file. */
  public ModelFile file() {
    return file;
  }

  /** Its tokenizer. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** The program that is run. */
  public Program program() {
    return program;
  }

  /** The backend that runs it; only to ask, never to run. */
  public Backend backend() {
    return backend;
  }

  /** Most tokens of a session. */
  public int context() {
    return context;
  }

  /** Most tokens that the model was trained for, whatever the context is. */
  public int trained() {
    return file.metadata().integer(file.metadata().architecture() + CONTEXT_KEY);
  }

  /** Number of token ids, and of logits. */
  public int vocabulary() {
    return program.logits().width();
  }

  /**
   * A new, empty session that reads every visible token; the caller closes it.
   *
   * @throws IllegalStateException if the model is closed
   */
  public Session newSession() {
    return newSession(AttentionPolicy.DENSE);
  }

  /**
   * A new, empty session; the caller closes it.
   *
   * @param policy how closely its steps read cached tokens, and those of its forks, unless a
   *     request says otherwise; asked on the engine thread
   * @throws IllegalStateException if the model is closed
   * @throws IllegalArgumentException if the policy is not dense and keys and values are not kept in
   *     8 bits
   */
  public Session newSession(AttentionPolicy policy) {
    if (engine.closed()) {
      throw new IllegalStateException("the model is closed");
    }
    requireReadable(policy);
    return new Session(this, new TokenSequence(engine.cache(), policy));
  }

  /**
   * A store for keys and values of files that this model has read. Its first one for a model reads
   * the whole model, to name it by its content; later ones do so only if the model's files were
   * touched.
   *
   * @param folder is created if it does not exist
   * @param maxBytes most bytes of all files in it, those of other models included
   * @param progress told the finished share, 0 to 1, while the model is read; may throw to stop
   * @throws dev.jacquard.kvstore.KvStoreException if there can be no such folder
   * @throws dev.jacquard.memory.JacquardException if the model's files were changed since they were
   *     opened
   */
  public KvStore store(Path folder, long maxBytes, DoubleConsumer progress) {
    return new KvStore(folder, maxBytes, name(folder, progress), program);
  }

  /** The same, with nobody who watches. */
  public KvStore store(Path folder, long maxBytes) {
    return store(folder, maxBytes, share -> {});
  }

  private synchronized String name(Path folder, DoubleConsumer progress) {
    String known = name;
    if (known == null) {
      known = ModelName.of(file, folder, progress);
      name = known;
    } else {
      file.requireUnchanged();
    }
    return known;
  }

  /** Whether a store is of this model's content, which the first {@link #store} finds out. */
  synchronized boolean owns(KvStore store) {
    return store.model().equals(name);
  }

  /** Ids that stand before a file's when its keys and values are stored: BOS, if there is one. */
  public int[] lead() {
    return lead(tokenizer);
  }

  static int[] lead(Tokenizer tokenizer) {
    int[] added = tokenizer.encode("", Tokenizer.Options.DEFAULT);
    return added.length > 0 && added[0] == tokenizer.bos() ? new int[] {added[0]} : new int[0];
  }

  /**
   * Computes the keys and values of a file in a session of its own, after {@link #lead}, and stores
   * them. Several threads may do this at once; their files share steps.
   *
   * @param ids tokens of the file; not to be changed any more
   * @throws ContextExceededException if they do not fit the context
   * @throws dev.jacquard.kvstore.KvStoreException if they cannot be stored
   * @throws dev.jacquard.memory.JacquardException if the model's files were changed since they were
   *     opened; nothing is stored then
   * @throws IllegalStateException if the model is closed
   */
  public StoredFile store(KvStore store, int[] ids) {
    try (KvRecorder recorder = store.record(lead(), ids);
        Session session = newSession()) {
      session.record(recorder);
      file.requireUnchanged();
      return recorder.finish();
    }
  }

  /**
   * Bytes of pages that hold keys and values of all sessions, without what is kept free for the
   * next. Waits for the engine's present step.
   *
   * @throws IllegalStateException if the model is closed
   */
  public long cachedBytes() {
    return engine.call(() -> engine.cache().usedBytes());
  }

  /**
   * Makes the bases of sketches from a text and saves them beside the model, or else in the cache
   * folder; this model uses them from now on. The engine does nothing else meanwhile.
   *
   * @param tokens the text, without BOS, at least {@link
   *     dev.jacquard.calibration.Calibrator#LEAST_TOKENS}
   * @param source what text it is, in a few words
   * @param progress told the finished share, 0 to 1, on the engine thread; may throw to stop
   * @throws dev.jacquard.calibration.CalibrationException if no layer can be sketched, the text is
   *     too short, or the model computes numbers that are not finite
   * @throws dev.jacquard.memory.JacquardException if they cannot be saved
   * @throws IllegalStateException if the model is closed
   */
  public SavedCalibration calibrate(int[] tokens, String source, DoubleConsumer progress) {
    return engine.call(() -> engine.sketching().calibrate(tokens, source, progress));
  }

  /** Refuses a policy that the cache's format does not allow. */
  void requireReadable(AttentionPolicy policy) {
    KvFormat format = engine.cache().storage().format();
    boolean dense = policy.exactness(Integer.MAX_VALUE) instanceof Exactness.Dense;
    if (!dense && format != KvFormat.Q8) {
      throw new IllegalArgumentException(
          "attention "
              + policy
              + " reads keys and values in parts, which a cache of format "
              + format
              + " has not: open the model with ModelOptions.withKvFormat(KvFormat.Q8) (--kv q8)");
    }
  }

  /** Cancels what runs, closes all sessions, frees everything. Twice does nothing. */
  @Override
  public void close() {
    resources.close();
  }

  /** Norms of the columns of W_down, made when they are first asked for. */
  public synchronized ColumnNorms columnNorms() {
    ColumnNorms norms = columnNorms;
    if (norms == null) {
      norms = ColumnNorms.of(program);
      columnNorms = norms;
    }
    return norms;
  }

  Engine engine() {
    return engine;
  }

  /**
   * Bytes of weights, keys and values that a token at {@code position} reads when it is computed
   * alone and nothing is left out.
   */
  public long bytesPerToken(int position) {
    return stepCost.bytesAt(position);
  }

  StepCost stepCost() {
    return stepCost;
  }

  int maxOutputs() {
    return maxOutputs;
  }

  boolean endsGeneration(int token) {
    return endOfGeneration.get(token);
  }
}
