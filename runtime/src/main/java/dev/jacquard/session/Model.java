package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.tokenizer.Tokenizer;
import java.util.BitSet;

/**
 * An open model: weights, tokenizer, backend and engine thread, shared by its sessions. Any thread
 * may call it; whoever opened it closes it.
 */
public final class Model implements AutoCloseable {
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
   * @param policy which cached pages its steps read, and those of its forks; asked on the engine
   *     thread
   * @throws IllegalStateException if the model is closed
   */
  public Session newSession(AttentionPolicy policy) {
    if (engine.closed()) {
      throw new IllegalStateException("the model is closed");
    }
    return new Session(this, new TokenSequence(engine.cache(), policy));
  }

  /** Cancels what runs, closes all sessions, frees everything. Twice does nothing. */
  @Override
  public void close() {
    resources.close();
  }

  Engine engine() {
    return engine;
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
