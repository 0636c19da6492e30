package dev.jacquard.cli;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.quantization.ExaminedModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** How much of a text a model is examined on, and in which pieces. */
final class TextFlags {
  /** More characters than any tokenizer makes one token of, on average. */
  private static final int CHARACTERS_PER_TOKEN = 8;

  @Option(
      names = {"-c", "--ctx-size"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "512",
      description =
          "Tokens of a piece of the text; each is read from an empty context (default:"
              + " ${DEFAULT-VALUE}).")
  private int pieceLength;

  @Option(
      names = {"-n", "--tokens"},
      paramLabel = "N",
      converter = Numbers.Positive.class,
      defaultValue = "65536",
      description = "Most tokens of the text to read (default: ${DEFAULT-VALUE}).")
  private int tokens;

  /** Tokens of a piece. */
  int pieceLength() {
    return pieceLength;
  }

  /** The text in pieces. */
  List<int[]> pieces(ModelFile file, List<Path> paths, Terminal terminal) throws IOException {
    int maxChars = (int) Math.min(Integer.MAX_VALUE / 2, (long) tokens * CHARACTERS_PER_TOKEN);
    String text = TextFolder.read(paths, maxChars, terminal);
    List<int[]> pieces = ExaminedModel.pieces(file, text, pieceLength);
    return pieces.subList(0, Math.clamp(tokens / pieceLength, 1, pieces.size()));
  }
}
