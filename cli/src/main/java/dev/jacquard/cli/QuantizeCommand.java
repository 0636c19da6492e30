package dev.jacquard.cli;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.quantization.FileType;
import dev.jacquard.quantization.ImportanceMatrix;
import dev.jacquard.quantization.QuantizationPlan;
import dev.jacquard.quantization.Quantizer;
import dev.jacquard.quantization.TypeChoice;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code quantize}: writes a model in smaller number formats. */
@Command(
    name = "quantize",
    description = {
      "Writes a model in other number formats.",
      "Reads a GGUF file in F16, BF16 or F32 and writes one whose matrices take fewer bits. Which"
          + " format each tensor gets follows llama.cpp's rules for the type, unless an option says"
          + " otherwise."
    },
    footer = "  jacquard quantize model.F16.gguf model.Q4_K_M.gguf --type Q4_K_M")
final class QuantizeCommand implements Callable<Integer> {
  private final Terminal terminal;

  @Spec private CommandSpec command = CommandSpec.create();

  @Parameters(
      index = "0",
      paramLabel = "IN",
      description = "The model to read; the first file of a split one.")
  private Path input = Path.of("");

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "OUT",
      description = "The file to write; not needed with --dry-run.")
  private @Nullable Path output;

  @Option(
      names = "--type",
      required = true,
      paramLabel = "TYPE",
      converter = TypeConverter.class,
      description = "Type of the file: ${COMPLETION-CANDIDATES}.",
      completionCandidates = TypeNames.class)
  private FileType type = FileType.Q8_0;

  @Option(
      names = "--tensor-type",
      paramLabel = "PATTERN=FORMAT",
      converter = RuleConverter.class,
      description =
          "Format of the tensors in whose name the regular expression is found; may be given several"
              + " times, the first that is found counts.")
  private List<TypeChoice.Rule> rules = new ArrayList<>();

  @Option(
      names = "--output-tensor-type",
      paramLabel = "FORMAT",
      converter = FormatConverter.class,
      description = "Format of the output matrix.")
  private @Nullable ElementFormat outputTensor;

  @Option(
      names = "--token-embedding-type",
      paramLabel = "FORMAT",
      converter = FormatConverter.class,
      description = "Format of the token table.")
  private @Nullable ElementFormat tokenEmbedding;

  @Option(
      names = "--imatrix",
      paramLabel = "FILE",
      description = "Importance matrix: errors of columns that count more are kept smaller.")
  private @Nullable Path imatrix;

  @Option(
      names = "--requantize",
      description = "Also read tensors that are quantised already, which costs quality.")
  private boolean requantize;

  @Option(names = "--dry-run", description = "Print formats and sizes, and write nothing.")
  private boolean dryRun;

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      converter = Numbers.Threads.class,
      description = "Threads that compute (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  QuantizeCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    Path target = output;
    if (target == null && !dryRun) {
      throw new ParameterException(
          command.commandLine(), "Missing required parameter: 'OUT' (only --dry-run needs none)");
    }
    ImportanceMatrix importance = imatrix == null ? null : ImportanceMatrix.read(imatrix);
    TypeChoice choice = new TypeChoice(type, rules, outputTensor, tokenEmbedding);
    try (GgufFile file = GgufFile.open(input)) {
      QuantizationPlan plan = QuantizationPlan.of(file, choice, importance != null, requantize);
      QuantizeReport report;
      if (dryRun || target == null) {
        report = QuantizeReport.of(input, null, plan, 0);
      } else {
        Quantizer quantizer = new Quantizer(file, plan, threads);
        if (importance != null && imatrix != null) {
          Quantizer.requireOther(imatrix, target);
          quantizer.with(importance, imatrix);
        }
        long started = System.nanoTime();
        quantizer.write(target, this::progress);
        terminal.clearStatus();
        report = QuantizeReport.of(input, target, plan, (System.nanoTime() - started) / 1e9);
      }
      terminal.print(json ? Json.write(report) + "\n" : report.text(dryRun));
    }
    return ExitCode.OK;
  }

  private void progress(double share) {
    terminal.interruption().check();
    terminal.status("quantising " + Terminal.bar(share));
  }

  /** Names of file types, for the help. */
  static final class TypeNames extends ArrayList<String> {
    private static final long serialVersionUID = 1L;

    TypeNames() {
      super(FileType.names());
    }
  }

  /** A type of a file. */
  static final class TypeConverter implements ITypeConverter<FileType> {
    @Override
    public FileType convert(String value) {
      return FileType.byName(value)
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected one of %s, not '%s'"
                          .formatted(String.join(", ", FileType.names()), value)));
    }
  }

  /** A number format. */
  static final class FormatConverter implements ITypeConverter<ElementFormat> {
    @Override
    public ElementFormat convert(String value) {
      return ElementFormats.byName(value)
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected one of %s, not '%s'"
                          .formatted(
                              ElementFormats.all().stream()
                                  .map(ElementFormat::name)
                                  .collect(Collectors.joining(", ")),
                              value)));
    }
  }

  /** A pattern of names and a number format. */
  static final class RuleConverter implements ITypeConverter<TypeChoice.Rule> {
    @Override
    public TypeChoice.Rule convert(String value) {
      int equals = value.lastIndexOf('=');
      if (equals < 1) {
        throw new TypeConversionException(
            "expected PATTERN=FORMAT, as attn_v=Q6_K, not '" + value + "'");
      }
      try {
        return new TypeChoice.Rule(
            Pattern.compile(value.substring(0, equals).toLowerCase(Locale.ROOT)),
            new FormatConverter().convert(value.substring(equals + 1)));
      } catch (PatternSyntaxException e) {
        throw new TypeConversionException(
            "expected a regular expression before '=', not '%s': %s"
                .formatted(value.substring(0, equals), e.getDescription()));
      }
    }
  }
}
