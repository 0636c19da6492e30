package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kvstore.KvRecorder;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.StoredFile;
import dev.jacquard.neurons.NeuronStatistics;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with a model: a sequence of token ids, and the keys and values of those that were
 * computed. Calls of different threads on one session are an error unless they are {@link
 * #position}, {@link GenerationStream#cancel} or {@link #close}.
 *
 * <p>If the computation itself fails (the device, or the model file shortened by somebody else),
 * the session is closed; what it does ends with that error.
 */
public final class Session implements AutoCloseable {
  /**
   * Tokens of a stored file that are computed where it is placed: they see what stands before the
   * file, which its stored keys and values know nothing of (EPIC, arXiv 2410.15332).
   */
  public static final int RECOMPUTED = 32;

  private final Model model;
  private final TokenSequence sequence;

  /** Taken by the one call or generation that may change the sequence. */
  private final AtomicBoolean turn = new AtomicBoolean();

  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile @Nullable Throwable failure;

  Session(Model model, TokenSequence sequence) {
    this.model = model;
    this.sequence = sequence;
  }

  /** Receives the logits after one position; the array is reused for the next. */
  @FunctionalInterface
  public interface LogitsConsumer {
    /** {@code logits[id]} after the token at {@code position}; the array may be changed. */
    void accept(int position, float[] logits);
  }

  /** Tokens in the session, from prompts and generated ones; grows while it generates. */
  public int position() {
    return sequence.length();
  }

  /**
   * Starts to generate; returns at once. Only one generation runs in a session at a time. The
   * prompt and every generated token become part of the session, those of a stop string included;
   * an end-of-generation token that ends the generation does not, and is not told either.
   *
   * <p>With {@code maxTokens} 0 the prompt is computed and nothing is generated.
   *
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   * @throws IllegalArgumentException if the prompt holds an id that is no token, or nothing at all
   *     is there to continue, or its attention needs another format of the cache
   * @throws ContextExceededException if the prompt does not fit the context
   */
  public GenerationStream generate(GenerationRequest request) {
    beginTurn();
    boolean started = false;
    try {
      int[] prompt = request.prompt().stream().mapToInt(Integer::intValue).toArray();
      requireFitting(prompt);
      if (request.attention() != null) {
        model.requireReadable(request.attention());
      }
      if (sequence.length() + prompt.length == 0) {
        throw new IllegalArgumentException(
            "the prompt is empty and so is the session; begin with at least one token, as BOS");
      }
      Generation generation = new Generation(this, request, model);
      sequence.add(prompt);
      model.engine().submit(generation);
      started = true;
      return generation.stream();
    } finally {
      if (!started) {
        endTurn();
      }
    }
  }

  /**
   * Appends tokens and hands over the logits after each of the last {@code outputs} of them, in
   * order, on the calling thread; returns when all are done. With 0 outputs it only computes. If
   * the consumer throws, the rest is not computed until the session is used again.
   *
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   * @throws IllegalArgumentException if an id is no token, or {@code outputs} is negative or more
   *     than there are tokens
   * @throws ContextExceededException if the tokens do not fit the context
   * @throws dev.jacquard.memory.JacquardException if it fails, or the calling thread is interrupted
   */
  public void evaluate(int[] tokens, int outputs, LogitsConsumer consumer) {
    evaluate(tokens, outputs, consumer, sequence.policy(), null, NeuronRule.ALL, null);
  }

  /**
   * The same, reading cached tokens as closely as {@code policy} says, whatever the session's is.
   * Rows that are computed together are a prompt; to have tokens decoded, hand them over one by
   * one.
   *
   * @return what attention read for these tokens
   * @throws IllegalArgumentException also if the policy needs another format of the cache
   */
  public AttentionStatistics.Reading evaluate(
      int[] tokens, int outputs, LogitsConsumer consumer, AttentionPolicy policy) {
    model.requireReadable(policy);
    return evaluate(tokens, outputs, consumer, policy, null, NeuronRule.ALL, null);
  }

  /**
   * The same with a rule for feed-forward layers, which holds for all these tokens, whether they
   * are computed together or one by one.
   *
   * @param gathering is told of the hidden values of all tokens, or null
   * @throws IllegalArgumentException also if the rule is of another model
   */
  public AttentionStatistics.Reading evaluate(
      int[] tokens,
      int outputs,
      LogitsConsumer consumer,
      AttentionPolicy policy,
      NeuronRule neurons,
      @Nullable NeuronStatistics gathering) {
    model.requireReadable(policy);
    NeuronRule.requireFits(neurons, model.program());
    return evaluate(tokens, outputs, consumer, policy, null, neurons, gathering);
  }

  /**
   * Has the next token begin a page of its own: to be called before each file of a context, so that
   * no page holds tokens of two files.
   *
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   */
  public void startPage() {
    beginTurn();
    try {
      sequence.startPage();
    } finally {
      endTurn();
    }
  }

  /**
   * Pins tokens: whatever the policy, the pages that hold them are read in 8 bits from the next
   * step on, until they are {@link #rewind rewound}.
   *
   * @param from position of the first
   * @param to position after the last, which may be the next one at most
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   * @throws IllegalArgumentException if the session has not all of them
   */
  public void pin(int from, int to) {
    beginTurn();
    try {
      if (from < 0 || to < from || to > sequence.length()) {
        throw new IllegalArgumentException(
            "can pin positions from 0 to "
                + sequence.length()
                + ", not from "
                + from
                + " to "
                + to);
      }
      sequence.pin(from, to);
    } finally {
      endTurn();
    }
  }

  /**
   * Computes the tokens of a recorder, which looks on; the session must be empty.
   *
   * @throws dev.jacquard.kvstore.KvStoreException if they cannot be written
   */
  void record(KvRecorder recorder) {
    evaluate(recorder.tokens(), 0, (_, _) -> {}, sequence.policy(), recorder, NeuronRule.ALL, null);
  }

  private AttentionStatistics.Reading evaluate(
      int[] tokens,
      int outputs,
      LogitsConsumer consumer,
      AttentionPolicy policy,
      @Nullable KvRecorder recorder,
      NeuronRule neurons,
      @Nullable NeuronStatistics gathering) {
    beginTurn();
    boolean started = false;
    try {
      if (outputs < 0 || outputs > tokens.length) {
        throw new IllegalArgumentException(
            "outputs must be from 0 to the number of tokens, "
                + tokens.length
                + ", not "
                + outputs);
      }
      requireFitting(tokens);
      int end = sequence.length() + tokens.length;
      Evaluation evaluation =
          new Evaluation(this, model, end - outputs, outputs, policy, recorder, neurons, gathering);
      sequence.add(tokens);
      model.engine().submit(evaluation);
      started = true;
      evaluation.handOver(consumer);
      return evaluation.attention();
    } finally {
      if (!started) {
        endTurn();
      }
    }
  }

  /**
   * Appends the tokens of a stored file. Returns at once: the next generation or evaluation
   * computes the file's first {@value #RECOMPUTED} tokens, which then see what stands before it,
   * and places the keys and values of the others; if the session has nothing but what stood before
   * the file when it was stored, it places all of them. The file begins a page of its own.
   *
   * <p>Should the stored file turn out to be damaged or gone, all its tokens are computed, after a
   * line in the log.
   *
   * @param store where it is, as {@link Model#store(java.nio.file.Path, long)} gave it
   * @throws IllegalArgumentException if the store is one of another model
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   * @throws ContextExceededException if the tokens do not fit the context
   */
  public void place(KvStore store, StoredFile file) {
    place(store, file, RECOMPUTED);
  }

  /**
   * The same with another number of first tokens that are computed: more of them cost time and
   * bring the session closer to one that computed everything (docs/kv-store.md has figures).
   *
   * @throws IllegalArgumentException also if the number is negative
   */
  public void place(KvStore store, StoredFile file, int recomputed) {
    if (recomputed < 0) {
      throw new IllegalArgumentException("cannot compute " + recomputed + " tokens");
    }
    beginTurn();
    try {
      if (!model.owns(store)) {
        throw new IllegalArgumentException(
            store.folder() + " was opened as a store of another model; use Model.store");
      }
      requireFitting(file.ids());
      sequence.add(store, file, recomputed);
    } finally {
      endTurn();
    }
  }

  /**
   * Forgets all tokens from {@code position} on. Where a sliding window has already let go what
   * becomes visible again, the tokens before {@code position} are computed anew by the next call.
   *
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   * @throws IllegalArgumentException if {@code position} is negative or beyond the end
   */
  public void rewind(int position) {
    beginTurn();
    try {
      if (position < 0 || position > sequence.length()) {
        throw new IllegalArgumentException(
            "can rewind to positions from 0 to " + sequence.length() + ", not to " + position);
      }
      model
          .engine()
          .call(
              () -> {
                sequence.truncate(position);
                return position;
              });
    } finally {
      endTurn();
    }
  }

  /**
   * A second session with the same content; pages are shared until one of them writes. Closed by
   * the caller, independently of this one.
   *
   * @throws IllegalStateException if the session or model is closed, or the session is in use
   */
  public Session fork() {
    beginTurn();
    try {
      return model
          .engine()
          .call(
              () -> {
                Session copy = new Session(model, sequence.fork());
                model.engine().add(copy);
                return copy;
              });
    } finally {
      endTurn();
    }
  }

  /**
   * Cancels what runs, waits for it, at most for a step, and gives the memory back. Any thread.
   * Twice does nothing.
   */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      model.engine().release(this);
    }
  }

  TokenSequence sequence() {
    return sequence;
  }

  boolean closed() {
    return closed.get();
  }

  /** Closes the session because a step failed; engine thread. */
  void fail(Throwable error) {
    failure = error;
    closed.set(true);
  }

  /** Lets the next call in; whoever began the turn, or the engine at the end of a job. */
  void endTurn() {
    turn.set(false);
  }

  private void beginTurn() {
    if (closed.get()) {
      throw new IllegalStateException(
          failure == null
              ? "the session is closed"
              : "the session is closed because a step failed: " + failure,
          failure);
    }
    if (model.engine().closed()) {
      throw new IllegalStateException("the model is closed");
    }
    if (!turn.compareAndSet(false, true)) {
      throw new IllegalStateException(
          "the session is in use: read its generation to the end, or close it, before the next");
    }
  }

  private void requireFitting(int[] tokens) {
    for (int i = 0; i < tokens.length; i++) {
      if (tokens[i] < 0 || tokens[i] >= model.vocabulary()) {
        throw new IllegalArgumentException(
            "token "
                + i
                + " is "
                + tokens[i]
                + ", which is no id of the vocabulary, 0 to "
                + (model.vocabulary() - 1));
      }
    }
    int left = model.context() - sequence.length();
    if (tokens.length > left) {
      throw new ContextExceededException(
          tokens.length
              + " tokens do not fit the context: "
              + left
              + " of "
              + model.context()
              + " are left; shorten the prompt, rewind the session or open the model with a larger"
              + " context");
    }
  }
}
