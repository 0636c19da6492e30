package dev.jacquard.quantization;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.memory.AvailableMemory;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A model that reads pieces of a text, each from an empty context, while somebody looks at what its
 * ops compute. Keys and values are kept in single precision. Used by one thread at a time.
 */
public final class ExaminedModel implements AutoCloseable {
  /** Receives logits. */
  @FunctionalInterface
  interface Logits {
    /**
     * Logits after a token.
     *
     * @param position of the token within its piece
     * @param values [vocabulary], an array that is used again
     */
    void accept(int position, float[] values);
  }

  /** Values of logits in a step: 64 MB. */
  private static final int MOST_LOGITS = 1 << 24;

  private final Program program;
  private final Executable executable;
  private final KvCache cache;
  private final StepInputs inputs;
  private final int outputRows;

  /**
   * Compiles a model.
   *
   * @param file its weights, open while this is
   * @param rows most tokens of a step
   * @param progress told the finished share while weights are laid out
   * @throws dev.jacquard.modelfile.ModelFormatException if the architecture is unknown, or a tensor
   *     is missing
   */
  public ExaminedModel(ModelFile file, Backend backend, int rows, DoubleConsumer progress) {
    this(program(file), backend, rows, progress);
  }

  /** The same of a program, whose weights are the caller's. */
  ExaminedModel(Program program, Backend backend, int rows, DoubleConsumer progress) {
    this.program = program;
    outputRows = Math.clamp(MOST_LOGITS / program.logits().width(), 1, rows);
    executable = backend.compile(program, new CompileOptions(rows, outputRows, null, progress));
    cache =
        new PagedKvCache(
            backend.allocateKv(program.kv(), KvFormat.F32), AvailableMemory.now().bytes());
    inputs = new StepInputs(rows, program.kv().groupWindows().size());
  }

  private static Program program(ModelFile file) {
    String architecture = file.metadata().architecture();
    return Architectures.byName(architecture)
        .orElseThrow(
            () ->
                file.metadata()
                    .fault("general.architecture", "one that is known here", architecture))
        .program(file);
  }

  /** What it computes. */
  Program program() {
    return program;
  }

  /** What computes it: to read slots in an observer. */
  Executable executable() {
    return executable;
  }

  /**
   * A text in pieces of {@code length} tokens, as llama.cpp's tools cut it: the first token of each
   * is replaced by BOS where the model wants one; tokens that fill no piece are left out.
   *
   * @throws QuantizationException if the text fills no piece
   */
  public static List<int[]> pieces(ModelFile file, String text, int length) {
    Tokenizer tokenizer = Tokenizers.of(file.metadata());
    int[] tokens = tokenizer.encode(text, Tokenizer.Options.DEFAULT);
    int[] added = tokenizer.encode("", Tokenizer.Options.DEFAULT);
    boolean bos = added.length > 0 && added[0] == tokenizer.bos();
    if (tokens.length < length) {
      throw new QuantizationException(
          "the text has %d tokens and fills no piece of %d: give a longer text or smaller pieces"
              .formatted(tokens.length, length));
    }
    return IntStream.range(0, tokens.length / length)
        .mapToObj(
            i -> {
              int[] piece = Arrays.copyOfRange(tokens, i * length, (i + 1) * length);
              if (bos) {
                piece[0] = tokenizer.bos();
              }
              return piece;
            })
        .toList();
  }

  /**
   * Reads a piece from an empty context.
   *
   * @param firstOutput tokens from here on have logits; the length of the piece for none
   * @param observer told after each op of each step, or null
   * @param receiver of the logits, in order
   */
  void read(int[] piece, int firstOutput, Executable.@Nullable Observer observer, Logits receiver) {
    float[] logits = new float[program.logits().width()];
    try (KvSequence sequence = cache.newSequence()) {
      for (int from = 0; from < piece.length; ) {
        boolean output = from >= firstOutput;
        int end = output ? piece.length : Math.min(piece.length, firstOutput);
        int to = Math.min(end, from + (output ? outputRows : inputs.maxRows()));
        inputs.clear();
        sequence.append(inputs, piece, from, to, output ? to - from : 0, AttentionPolicy.DENSE);
        executable.run(inputs, cache.storage(), observer);
        for (int row = 0; output && row < to - from; row++) {
          executable.read(program.logits(), row, logits, 0);
          receiver.accept(from + row, logits);
        }
        from = to;
      }
    }
  }

  /** Rows of a slot in the last step. */
  int rows(Slot slot) {
    return switch (slot.domain()) {
      case ALL -> inputs.rows();
      case OUTPUT -> inputs.outputs();
    };
  }

  /** Frees what it holds; the file and the backend are the caller's. */
  @Override
  public void close() {
    cache.close();
    executable.close();
  }
}
