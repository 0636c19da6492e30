package dev.jacquard.cli;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.quantization.ExaminedModel;
import dev.jacquard.quantization.ImportanceCollector;
import dev.jacquard.quantization.ImportanceMatrix;
import dev.jacquard.quantization.Quantizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code imatrix}: measures how much the columns of a model's matrices count. */
@Command(
    name = "imatrix",
    description = {
      "Measures an importance matrix, for 'quantize --imatrix'.",
      "Runs the model over a text and adds up the squares of what each matrix is multiplied with,"
          + " column by column. The file is llama.cpp's."
    },
    footer = "  jacquard imatrix -m model.F16.gguf ~/src/project -o imatrix.gguf")
final class ImatrixCommand implements Callable<Integer> {
  /**
   * The JSON document.
   *
   * @param tokens that were read
   * @param matrices that were measured
   */
  record Document(String output, int tokens, int chunks, int matrices, double seconds) {}

  private final Terminal terminal;

  @Parameters(
      paramLabel = "DIR or FILE",
      arity = "1..*",
      description = "The text, in UTF-8: files, or folders of which text files are read.")
  private List<Path> paths = new ArrayList<>();

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "FILE",
      description = "The file to write.")
  private Path output = Path.of("");

  @Mixin private final TextFlags text = new TextFlags();

  @Option(
      names = "--process-output",
      description = "Also measure the output matrix, which llama.cpp leaves out too.")
  private boolean processOutput;

  @Mixin private final ModelFlag model = new ModelFlag();

  @Option(
      names = {"-t", "--threads"},
      paramLabel = "N",
      converter = Numbers.Threads.class,
      description = "Threads that compute (default: one per core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Mixin private final BackendFlag backend = new BackendFlag();

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  ImatrixCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    try (ModelFile file = ModelFile.open(model.path());
        Backend opened = Backends.open(backend.name(), new BackendOptions(threads))) {
      Quantizer.requireOther(file.path(), output);
      List<int[]> pieces = text.pieces(file, paths, terminal);
      long started = System.nanoTime();
      ImportanceMatrix matrix;
      try (ExaminedModel examined =
          new ExaminedModel(
              file,
              opened,
              text.pieceLength(),
              share -> terminal.status("preparing weights " + Terminal.bar(share)))) {
        matrix =
            new ImportanceCollector(examined, processOutput)
                .collect(pieces, paths.stream().map(Path::toString).toList(), this::progress);
      }
      terminal.clearStatus();
      matrix.write(output);
      Document document =
          new Document(
              output.toString(),
              matrix.chunks() * matrix.chunkSize(),
              matrix.chunks(),
              matrix.entries().size(),
              (System.nanoTime() - started) / 1e9);
      terminal.print(
          json
              ? Json.write(document) + "\n"
              : "%s: %d matrices, measured on %d tokens in %s s%n"
                  .formatted(
                      output,
                      document.matrices,
                      document.tokens,
                      Format.decimals(document.seconds, 1)));
    }
    return ExitCode.OK;
  }

  private void progress(double share) {
    terminal.interruption().check();
    terminal.status("reading the text " + Terminal.bar(share));
  }
}
