package dev.jacquard.cli;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tokenize}: text to ids and their pieces. */
@Command(
    name = "tokenize",
    description = {
      "Prints the token ids of a text, each with its piece.",
      "Needs no weights: a file that holds only a vocabulary, or a model of an unknown architecture,"
          + " will do."
    },
    footer = "  jacquard tokenize --ids \"int x = 1;\"")
final class TokenizeCommand implements Callable<Integer> {
  /** The JSON document. */
  record Document(List<Integer> ids, List<String> pieces) {}

  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(arity = "0..1", paramLabel = "TEXT", description = "Text to encode.")
  private @Nullable String text;

  @Option(
      names = {"-f", "--file"},
      paramLabel = "FILE",
      description = "Read the text from a file, or from standard input if it is '-'.")
  private @Nullable Path file;

  @Option(names = "--ids", description = "Print the ids only, as one JSON array.")
  private boolean idsOnly;

  @Option(names = "--special", description = "Parse the spellings of control tokens in the text.")
  private boolean special;

  @Option(names = "--no-bos", description = "Add no BOS (and no EOS), even if the model wants it.")
  private boolean noBos;

  @Option(names = "--json", description = "Print one JSON document with ids and pieces.")
  private boolean json;

  @Mixin private final ModelFlag model = new ModelFlag();

  TokenizeCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    if ((text == null) == (file == null)) {
      throw new ParameterException(
          spec.commandLine(), "give either a TEXT or a file with -f ('-f -' is standard input)");
    }
    String input = file == null ? Objects.requireNonNull(text) : TextInput.read(file, terminal);
    Tokenizer tokenizer;
    try (ModelFile opened = ModelFile.open(model.path())) {
      tokenizer = Tokenizers.of(opened.metadata());
    }
    int[] ids = tokenizer.encode(input, new Tokenizer.Options(!noBos, special));
    terminal.print(document(tokenizer, ids));
    return ExitCode.OK;
  }

  private String document(Tokenizer tokenizer, int[] ids) {
    if (idsOnly) {
      return Arrays.toString(ids) + "\n";
    }
    if (json) {
      List<String> pieces = Arrays.stream(ids).mapToObj(id -> piece(tokenizer, id)).toList();
      return Json.write(new Document(Arrays.stream(ids).boxed().toList(), pieces)) + "\n";
    }
    return Arrays.stream(ids)
        .mapToObj(id -> "%6d -> '%s'%n".formatted(id, Format.printable(piece(tokenizer, id))))
        .collect(Collectors.joining());
  }

  /** The text of a token; bytes that are no whole character as {@code <0xC3><0x28>}. */
  private static String piece(Tokenizer tokenizer, int id) {
    byte[] bytes = tokenizer.bytes(id);
    if (bytes.length == 0) {
      return tokenizer.spelling(id);
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      StringBuilder hex = new StringBuilder();
      for (byte b : bytes) {
        hex.append("<0x%02X>".formatted(b));
      }
      return hex.toString();
    }
  }
}
