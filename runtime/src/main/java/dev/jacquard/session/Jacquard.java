package dev.jacquard.session;

import dev.jacquard.architecture.Architecture;
import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.calibration.BasisStore;
import dev.jacquard.calibration.Calibrator;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Program;
import dev.jacquard.memory.AvailableMemory;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** Where users of the library begin. */
public final class Jacquard {
  private static final System.Logger LOGGER = System.getLogger(Jacquard.class.getName());

  private Jacquard() {}

  /**
   * Opens a model: maps the file, checks it, compiles its program for a backend and starts the
   * engine thread. A backend may keep repacked weights in a file of the cache folder: {@code
   * $XDG_CACHE_HOME/jacquard} or {@code ~/.cache/jacquard}, or what the system property {@code
   * jacquard.cache} says, {@code none} for no such file. {@code jacquard.cache.gigabytes} bounds
   * what these files take (default 20): those that were not used for longest are removed.
   *
   * <p>Memory must suffice for the weights and, if the options limit the context, for one session
   * of that many tokens; with the model's own limit it must suffice for one step, and sessions grow
   * as far as memory allows. The caller closes the model. On failure everything is closed.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if the file is not a model we can run
   * @throws dev.jacquard.kernels.BackendException if the backend cannot run it
   * @throws dev.jacquard.memory.JacquardException if there is too little memory, said before
   *     loading
   */
  public static Model open(Path file, ModelOptions options) {
    Model model =
        load(
            GgufFile.open(file),
            options,
            () -> Backends.open(options.backend(), new BackendOptions(options.threads())));
    try {
      model.engine().start();
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    return model;
  }

  /** Everything but starting the engine; takes over {@code file}. */
  static Model load(ModelFile file, ModelOptions options, Supplier<Backend> backend) {
    Resources resources = new Resources();
    resources.add(file::close);
    try {
      return load(file, options, backend, resources);
    } catch (RuntimeException | Error e) {
      try {
        resources.close();
      } catch (RuntimeException closing) {
        e.addSuppressed(closing);
      }
      throw e;
    }
  }

  private static Model load(
      ModelFile file, ModelOptions options, Supplier<Backend> opener, Resources resources) {
    Program program = architecture(file).program(file);
    Tokenizer tokenizer = Tokenizers.of(file.metadata());
    if (tokenizer.size() != program.logits().width()) {
      throw file.metadata()
          .fault(
              "tokenizer.ggml.tokens",
              "as many tokens as the model has logits, " + program.logits().width(),
              tokenizer.size() + " tokens");
    }
    int context = context(file, options);
    int batchSize = Math.min(options.batchSize(), context);
    MemoryEstimate full = MemoryEstimate.of(program, context, batchSize, options.kvFormat());
    MemoryEstimate least = MemoryEstimate.of(program, batchSize, batchSize, options.kvFormat());
    AvailableMemory available = AvailableMemory.now();
    requireMemory(file, options.context() > 0, full, least, available);

    Backend backend = opener.get();
    resources.add(backend::close);
    int maxOutputs = MemoryEstimate.maxOutputs(program.logits().width(), batchSize);
    Path cached = WeightCache.file(file.fingerprint() + "." + backend.name());
    if (cached != null) {
      WeightCache.dropIfOlder(cached, file.modified());
    }
    Executable executable =
        backend.compile(
            program, new CompileOptions(batchSize, maxOutputs, cached, options.progress()));
    resources.add(executable::close);
    if (cached != null && Files.exists(cached)) {
      WeightCache.used(cached);
    }
    KvStorage storage = backend.allocateKv(program.kv(), options.kvFormat());
    KvCache cache =
        new PagedKvCache(storage, available.bytes() - full.weights() - full.activations());
    resources.add(cache::close);
    Sketching sketching =
        new Sketching(
            new Calibrator(backend, executable, program, batchSize, maxOutputs, context),
            new BasisStore(file, program.kv(), WeightCache.folder().orElse(null)),
            cache.storage(),
            Model.lead(tokenizer));
    Engine engine =
        new Engine(file, executable, cache, sketching, program.logits(), batchSize, maxOutputs);
    resources.add(engine::close);
    StepCost cost = StepCost.of(executable.weightBytesPerStep(), program, options.kvFormat());
    LOGGER.log(
        Level.DEBUG,
        "{0}: {1} on {2}, context {3}",
        file.path(),
        file.metadata().architecture(),
        backend.description(),
        String.valueOf(context));
    return new Model(
        file, tokenizer, program, backend, engine, cost, context, maxOutputs, resources);
  }

  private static Architecture architecture(ModelFile file) {
    String name = file.metadata().architecture();
    return Architectures.byName(name)
        .orElseThrow(
            () -> {
              List<String> known =
                  Architectures.all().stream().map(Architecture::name).sorted().toList();
              return file.metadata().fault("general.architecture", "one of " + known, name);
            });
  }

  private static int context(ModelFile file, ModelOptions options) {
    String key = file.metadata().architecture() + Model.CONTEXT_KEY;
    int own = file.metadata().integer(key);
    if (own < 1) {
      throw file.metadata().fault(key, "at least 1", String.valueOf(own));
    }
    if (options.context() > own) {
      LOGGER.log(
          Level.WARNING,
          "the model was trained for {0} tokens of context; with {1} it may write nonsense",
          String.valueOf(own),
          String.valueOf(options.context()));
    }
    return options.context() == 0 ? own : options.context();
  }

  private static void requireMemory(
      ModelFile file,
      boolean limited,
      MemoryEstimate full,
      MemoryEstimate least,
      AvailableMemory available) {
    MemoryEstimate needed = limited ? full : least;
    if (needed.total() > available.bytes()) {
      throw new JacquardException(
          file.path()
              + ": too little memory: "
              + mebibytes(needed.total())
              + " needed ("
              + mebibytes(needed.weights())
              + " weights, "
              + mebibytes(needed.kv())
              + " keys and values, "
              + mebibytes(needed.activations())
              + " buffers), "
              + mebibytes(available.bytes())
              + " available ("
              + available.source()
              + "); use "
              + (limited ? "less context, " : "")
              + "a smaller batch or a model with smaller weights, or free memory");
    }
    if (full.total() > available.bytes()) {
      LOGGER.log(
          Level.WARNING,
          "a session of the model''s whole context needs {0}, of which {1} are available; long"
              + " sessions will fail: limit the context",
          mebibytes(full.total()),
          mebibytes(available.bytes()));
    }
  }

  private static String mebibytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20));
  }
}
