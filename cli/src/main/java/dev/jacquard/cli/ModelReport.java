package dev.jacquard.cli;

import dev.jacquard.architecture.Architecture;
import dev.jacquard.architecture.Architectures;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.OpSupport;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelVerifier;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.session.MemoryEstimate;
import dev.jacquard.session.ModelOptions;
import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What {@code inspect} prints.
 *
 * @param file name
 * @param bytes of all its parts
 * @param parameters elements of all tensors
 * @param metadata values by key; arrays are shortened
 * @param formats bytes by number format
 * @param memory per context length; empty if the model cannot be run
 * @param q8 what a token takes in a cache of 8 bits, or null if the model cannot be run or sees
 *     everything through windows
 * @param backend that would run it, or null
 * @param kernels what computes each kind of op; empty if the model cannot be run
 * @param cannotRun why it cannot be run here, or null
 * @param verification what {@code --verify} found, or null if it was not asked
 */
record ModelReport(
    String file,
    long bytes,
    long parameters,
    Map<String, Object> metadata,
    List<TensorRow> tensors,
    List<FormatShare> formats,
    List<Memory> memory,
    @Nullable Q8Cache q8,
    @Nullable String backend,
    List<Kernel> kernels,
    @Nullable String cannotRun,
    @Nullable Verification verification) {

  /** A tensor; sizes are fastest-varying first. */
  record TensorRow(String name, String type, List<Long> shape, long bytes) {}

  /** Part of the weights that one number format makes up. */
  record FormatShare(String type, int tensors, long bytes, double share) {}

  /**
   * Bytes that a context length takes: weights, one session's keys and values, a step's buffers.
   */
  record Memory(int context, long weights, long kv, long activations, long total) {}

  /**
   * Bytes that each token takes in the layers without a window, where a context grows.
   *
   * @param bytesPerToken all that is kept of a token
   * @param summaryBytesPerToken what sketches and page means are of it
   * @param summaryShare the same as a share
   */
  record Q8Cache(double bytesPerToken, double summaryBytesPerToken, double summaryShare) {
    static @Nullable Q8Cache of(Program program) {
      List<KvSpec.Layer> layers =
          program.kv().layers().stream().filter(layer -> layer.window() == 0).toList();
      if (layers.isEmpty()) {
        return null;
      }
      double all = layers.stream().mapToDouble(KvFormat.Q8::tokenBytes).sum();
      double summaries = layers.stream().mapToDouble(QuantizedKv::summaryBytes).sum();
      return new Q8Cache(all, summaries, summaries / all);
    }

    private String text() {
      return ("%n--kv q8 keeps %s of a token in layers without a window; sketches and page means are %s of"
              + " it, %s %%%n")
          .formatted(
              Format.bytes(Math.round(bytesPerToken)),
              Format.bytes(Math.round(summaryBytesPerToken)),
              Format.decimals(100 * summaryShare, 1));
    }
  }

  /** What computes a kind of op, and how many ops of the program that are. */
  record Kernel(String op, int count, String kernel) {}

  /** What reading every weight found: one line for each faulty tensor. */
  record Verification(int tensors, List<String> skipped, List<String> faults) {
    static Verification of(ModelVerifier.Report report) {
      return new Verification(
          report.verified(),
          report.skipped().stream().map(t -> t.name() + " (" + t.type() + ")").toList(),
          report.faults().stream().map(ModelVerifier.Fault::toString).toList());
    }

    private String text() {
      StringBuilder text = new StringBuilder();
      text.append(
          "%d tensors read, %d faulty, %d in formats that cannot be decoded here%n"
              .formatted(tensors, faults.size(), skipped.size()));
      faults.forEach(fault -> text.append("  ").append(fault).append('\n'));
      skipped.forEach(name -> text.append("  not read: ").append(name).append('\n'));
      return text.toString();
    }
  }

  /** An array of the metadata, shortened. */
  record Excerpt(int length, List<Object> first) {
    @Override
    public String toString() {
      String shown = first.stream().map(ModelReport::quoted).collect(Collectors.joining(", "));
      return length > first.size() ? "[" + shown + ", … " + length + "]" : "[" + shown + "]";
    }
  }

  private static final int EXCERPT = 6;
  private static final int LONGEST_STRING = 80;
  private static final int SHORTEST_CONTEXT = 1024;

  /** Reads what there is to say about a file. */
  static ModelReport of(
      ModelFile file, KvFormat kv, String backendName, @Nullable Verification verification) {
    List<Memory> memory = List.of();
    List<Kernel> kernels = List.of();
    Q8Cache q8 = null;
    String backendLine = null;
    String cannotRun = null;
    try {
      Program program = program(file);
      memory = memory(file, program, kv);
      q8 = Q8Cache.of(program);
      try (Backend backend =
          Backends.open(
              backendName, new BackendOptions(Runtime.getRuntime().availableProcessors()))) {
        backendLine = backend.name() + ": " + backend.description();
        kernels = kernels(program, backend);
      }
    } catch (JacquardException e) {
      cannotRun = e.getMessage();
    }
    return new ModelReport(
        String.valueOf(file.path().getFileName()),
        file.bytes(),
        file.tensors().stream().mapToLong(t -> t.shape().elements()).sum(),
        metadata(file),
        file.tensors().stream()
            .map(t -> new TensorRow(t.name(), t.type(), t.shape().sizes(), t.bytes()))
            .toList(),
        formats(file.tensors()),
        memory,
        q8,
        backendLine,
        kernels,
        cannotRun,
        verification);
  }

  private static Program program(ModelFile file) {
    if (file.tensors().isEmpty()) {
      throw new InputException("the file holds a vocabulary and no weights");
    }
    String name = file.metadata().architecture();
    return Architectures.byName(name)
        .orElseThrow(
            () ->
                new InputException(
                    "architecture '"
                        + name
                        + "' is not known here; known are "
                        + Architectures.all().stream()
                            .map(Architecture::name)
                            .collect(Collectors.joining(", "))))
        .program(file);
  }

  private static Map<String, Object> metadata(ModelFile file) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (String key : file.metadata().keys()) {
      Object value = file.metadata().get(key).orElseThrow();
      values.put(key, value.getClass().isArray() ? excerpt(value) : value);
    }
    return values;
  }

  private static Excerpt excerpt(Object array) {
    int length = Array.getLength(array);
    List<Object> first = new ArrayList<>();
    for (int i = 0; i < Math.min(length, EXCERPT); i++) {
      Object element = Array.get(array, i);
      first.add(element.getClass().isArray() ? excerpt(element) : element);
    }
    return new Excerpt(length, first);
  }

  private static List<FormatShare> formats(List<TensorInfo> tensors) {
    Map<String, List<TensorInfo>> byType =
        tensors.stream().collect(Collectors.groupingBy(TensorInfo::type));
    double all = bytes(tensors);
    return byType.entrySet().stream()
        .map(
            e ->
                new FormatShare(
                    e.getKey(),
                    e.getValue().size(),
                    bytes(e.getValue()),
                    bytes(e.getValue()) / all))
        .sorted(Comparator.comparingLong(FormatShare::bytes).reversed())
        .toList();
  }

  private static long bytes(List<TensorInfo> tensors) {
    return tensors.stream().mapToLong(TensorInfo::bytes).sum();
  }

  /** Doubles the context from 1024 tokens up to what the model was made for. */
  private static List<Memory> memory(ModelFile file, Program program, KvFormat format) {
    int most = file.metadata().integer(file.metadata().architecture() + ".context_length");
    List<Memory> rows = new ArrayList<>();
    for (long context = SHORTEST_CONTEXT; context < most; context *= 2) {
      rows.add(memory((int) context, program, format));
    }
    rows.add(memory(most, program, format));
    return rows;
  }

  private static Memory memory(int context, Program program, KvFormat format) {
    int batch = Math.min(context, ModelOptions.DEFAULT.batchSize());
    MemoryEstimate estimate = MemoryEstimate.of(program, context, batch, format);
    return new Memory(
        context, estimate.weights(), estimate.kv(), estimate.activations(), estimate.total());
  }

  private static List<Kernel> kernels(Program program, Backend backend) {
    Map<List<String>, Integer> counts = new LinkedHashMap<>();
    for (Op op : program.ops()) {
      OpSupport support = backend.support(op);
      String kernel =
          support.refusal() == null ? support.kernel() : "cannot run: " + support.refusal();
      counts.merge(List.of(label(op), kernel), 1, Integer::sum);
    }
    return counts.entrySet().stream()
        .map(e -> new Kernel(e.getKey().get(0), e.getValue(), e.getKey().get(1)))
        .toList();
  }

  /** Kind of an op with the number formats of its weights. */
  private static String label(Op op) {
    String formats =
        Program.weights(op).stream()
            .map(weight -> weight.tensor().format().name())
            .distinct()
            .collect(Collectors.joining("+"));
    return op.getClass().getSimpleName() + (formats.isEmpty() ? "" : " " + formats);
  }

  /** The report for people. */
  String text() {
    StringBuilder text = new StringBuilder();
    text.append(
        "%s: %s, %s parameters%n".formatted(file, Format.bytes(bytes), Format.count(parameters)));
    section(text, "Metadata", "ll", metadata.entrySet(), e -> List.of(e.getKey(), value(e)));
    section(
        text,
        "Tensors",
        "lllr",
        tensors,
        t -> List.of(t.name(), t.type(), sizes(t.shape()), Format.bytes(t.bytes())));
    section(
        text,
        "Number formats",
        "lrrr",
        formats,
        f ->
            List.of(
                f.type(),
                f.tensors() + " tensors",
                Format.bytes(f.bytes()),
                Format.decimals(100 * f.share(), 1) + " %"));
    section(
        text,
        "Memory by context length: weights + keys and values of a session + buffers of a step",
        "rrrrr",
        memory,
        m ->
            List.of(
                m.context() + " tokens",
                Format.bytes(m.weights()),
                "+ " + Format.bytes(m.kv()),
                "+ " + Format.bytes(m.activations()),
                "= " + Format.bytes(m.total())));
    if (q8 != null) {
      text.append(q8.text());
    }
    section(
        text,
        "Kernels of backend " + backend,
        "lrl",
        kernels,
        k -> List.of(k.op(), "x " + k.count(), k.kernel()));
    if (cannotRun != null) {
      text.append("\nCannot be run here: ").append(cannotRun).append('\n');
    }
    if (verification != null) {
      text.append("\nVerification: ").append(verification.text());
    }
    return text.toString();
  }

  private static <T> void section(
      StringBuilder text,
      String title,
      String alignment,
      Collection<T> items,
      Function<T, List<String>> cells) {
    if (!items.isEmpty()) {
      text.append('\n').append(title).append('\n');
      text.append(Format.table(alignment, items.stream().map(cells).toList()));
    }
  }

  private static String value(Map.Entry<String, Object> entry) {
    return quoted(entry.getValue());
  }

  /** Strings in quotes, in one line, and not too long; numbers with the digits that matter. */
  private static String quoted(Object value) {
    return switch (value) {
      case String string -> '"' + shortened(Format.printable(string)) + '"';
      // Most numbers of a file have 32 bits and look strange with the digits of 64.
      case Double number when (float) (double) number == number ->
          String.valueOf((float) (double) number);
      default -> String.valueOf(value);
    };
  }

  private static String shortened(String line) {
    int points = line.codePointCount(0, line.length());
    return points <= LONGEST_STRING
        ? line
        : line.substring(0, line.offsetByCodePoints(0, LONGEST_STRING)) + "…";
  }

  private static String sizes(List<Long> shape) {
    return shape.stream().map(String::valueOf).collect(Collectors.joining(" x "));
  }
}
