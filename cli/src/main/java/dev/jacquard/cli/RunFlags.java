package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.session.Jacquard;
import dev.jacquard.session.Model;
import dev.jacquard.session.ModelOptions;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of every command that runs a model. */
final class RunFlags {
  @Mixin private final ModelFlag model = new ModelFlag();

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      converter = Numbers.Threads.class,
      description = "Threads that compute (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = {"-c", "--ctx-size"},
      paramLabel = "N",
      converter = Numbers.NotNegative.class,
      description =
          "Most tokens of the context; 0 for what the command needs, or the model's own (default:"
              + " 0).")
  private int context;

  @Option(
      names = {"-b", "--batch-size"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "512",
      description = "Most tokens computed at once (default: ${DEFAULT-VALUE}).")
  private int batchSize;

  @Mixin private final BackendFlag backend = new BackendFlag();

  @Option(
      names = "--kv",
      paramLabel = "FORMAT",
      description =
          "Rounding of cached keys and values: f16, f32 or q8 (default: f16, or q8 if attention is"
              + " not dense).")
  private @Nullable KvFormat kv;

  @Mixin private final AttentionFlags attention = new AttentionFlags();

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  /** The context that was asked for, 0 if none. */
  int context() {
    return context;
  }

  /** How closely cached tokens are read. */
  AttentionPolicy attention() {
    return attention.policy();
  }

  /** The model's file. */
  Path modelPath() {
    return model.path();
  }

  private KvFormat kv(AttentionPolicy policy) {
    boolean dense = policy.equals(AttentionPolicy.DENSE);
    if (kv == null) {
      return dense ? KvFormat.F16 : KvFormat.Q8;
    }
    if (!dense && kv != KvFormat.Q8) {
      throw new ParameterException(
          command.commandLine(),
          "--attention %s reads parts of keys and values, and --kv %s has none: say --kv q8"
              .formatted(policy, kv.name().toLowerCase(Locale.ROOT)));
    }
    return kv;
  }

  /** Opens the model with the context that was asked for, or else {@code otherwise}. */
  Model open(Terminal terminal, int otherwise) {
    return open(terminal, null, otherwise, attention());
  }

  /**
   * Opens another model, or null for the one that was named, for a class of attention of its own.
   */
  Model open(Terminal terminal, @Nullable Path other, int otherwise, AttentionPolicy policy) {
    Path file = other == null ? model.path() : other;
    ModelOptions options =
        new ModelOptions(
            backend.name(),
            threads,
            context == 0 ? otherwise : context,
            batchSize,
            kv(policy),
            share -> terminal.status("preparing weights " + Terminal.bar(share)));
    terminal.status("opening " + file.getFileName());
    Model opened = Jacquard.open(file, options);
    terminal.clearStatus();
    if (terminal.interruption().requested()) {
      opened.close();
    }
    terminal.interruption().check();
    return opened;
  }
}
