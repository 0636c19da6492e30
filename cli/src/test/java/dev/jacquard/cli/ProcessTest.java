package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.tensor.Shape;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What only a process of its own can show: signals, closed pipes, raw bytes. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class ProcessTest {
  @TempDir private Path folder = Path.of("");

  private Path err() {
    return folder.resolve("stderr");
  }

  private String errText() throws IOException {
    String text = Files.readString(err());
    return text.replaceAll("(?m)^(WARNING: Using incubator modules|Picked up ).*\\R", "");
  }

  private Process start(String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    if (System.getProperty("os.name").equals("Linux")) {
      // Whoever runs the tests may ignore SIGINT, and children inherit that.
      command.addAll(List.of("env", "--default-signal=INT"));
    }
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Djacquard.model=" + TestData.bundledModel(),
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectError(err().toFile()).start();
  }

  /** A generation that goes on for as long as the context lasts, slowed down by many threads. */
  private Process endless() throws IOException {
    return start("generate", "--ignore-eos", "--backend", "reference", "--temp", "0", "class A {");
  }

  @Test
  void interruptEndsTheStreamWithItsClosingLine() throws Exception {
    Process process = endless();
    InputStream out = process.getInputStream();
    assertNotEquals(-1, out.read());
    assertEquals(0, new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor());
    out.readAllBytes();
    assertEquals(ExitCode.INTERRUPTED, process.waitFor(), errText());
    assertTrue(errText().strip().endsWith("| cancelled"), errText());
    assertEquals(1, errText().lines().count(), errText());
  }

  /** What was stored before Ctrl-C stays, and the next run goes on from there. */
  @Test
  void anInterruptedIndexGoesOnWhereItWas() throws Exception {
    Path sources = Files.createDirectories(folder.resolve("sources"));
    for (int i = 0; i < 60; i++) {
      Files.writeString(
          sources.resolve("F" + i + ".java"), "class F" + i + " { int a; }\n".repeat(40));
    }
    Path store = folder.resolve("store");
    String[] index = {
      "index", sources.toString(), "--store", store.toString(), "--backend", "reference", "--json"
    };
    Process process = start(index);
    while (process.isAlive() && stored(store) < 3) {
      Thread.sleep(10);
    }
    assertEquals(0, new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor());
    String first = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(ExitCode.INTERRUPTED, process.waitFor(), errText());
    assertEquals("", errText());
    int computed = number(first, "computed");
    assertTrue(computed >= 3 && computed < 60, first);
    assertEquals(computed, stored(store));
    try (Stream<Path> files = Files.list(store)) {
      List<Path> left = files.filter(p -> !p.toString().endsWith(".model")).toList();
      assertEquals(computed, left.size(), "nothing half-written is left: " + left);
    }
    process = start(index);
    String second = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), errText());
    assertEquals(List.of(60 - computed, computed), counts(second), second);
  }

  /** Weights that take seconds on one thread. */
  private Path largeModel() throws IOException {
    Random random = new Random(1);
    byte[] weights = new byte[4096 * 1024 * Short.BYTES];
    for (int i = 0; i < weights.length; i += 2) {
      short bits = Float.floatToFloat16((float) random.nextGaussian());
      weights[i] = (byte) bits;
      weights[i + 1] = (byte) (bits >> 8);
    }
    GgufWriter writer = new GgufWriter().put("general.architecture", GgufType.STRING, "llama");
    for (int i = 0; i < 16; i++) {
      writer.tensor(
          "blk." + i + ".ffn_up.weight",
          GgmlTypes.byNumber(1).orElseThrow(),
          Shape.of(1024, 4096),
          GgufWriter.TensorData.of(MemorySegment.ofArray(weights)));
    }
    Path path = folder.resolve("large.gguf");
    writer.write(path);
    return path;
  }

  /** Stopped in the middle, quantising leaves no output, and the input as it was. */
  @ParameterizedTest
  @ValueSource(strings = {"INT", "KILL"})
  void anInterruptedQuantisationLeavesNoOutput(String signal) throws Exception {
    Path input = largeModel();
    byte[] before = Files.readAllBytes(input);
    Path output = folder.resolve("out.gguf");
    Path unfinished = GgufWriter.unfinished(output);
    Process process =
        start("quantize", input.toString(), output.toString(), "--type", "Q4_K_M", "-t", "1");
    while (process.isAlive() && (Files.notExists(unfinished) || Files.size(unfinished) < 1000)) {
      Thread.sleep(10);
    }
    assertEquals(0, new ProcessBuilder("kill", "-" + signal, "" + process.pid()).start().waitFor());
    boolean killed = signal.equals("KILL");
    assertEquals(killed ? 137 : ExitCode.INTERRUPTED, process.waitFor(), errText());
    assertTrue(Files.notExists(output));
    assertEquals(killed, Files.exists(unfinished), "only SIGKILL leaves no time to tidy up");
    assertArrayEquals(before, Files.readAllBytes(input));
  }

  private static List<Integer> counts(String json) {
    return List.of(number(json, "computed"), number(json, "stored"));
  }

  private static int number(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\" : (\\d+)").matcher(json);
    assertTrue(matcher.find(), json);
    return Integer.parseInt(matcher.group(1));
  }

  private static int stored(Path store) throws IOException {
    if (!Files.exists(store)) {
      return 0;
    }
    try (Stream<Path> files = Files.list(store)) {
      return (int) files.filter(p -> p.toString().endsWith(".kv")).count();
    }
  }

  @Test
  void aReaderThatLeavesEndsTheStreamQuietly() throws Exception {
    Process process = endless();
    InputStream out = process.getInputStream();
    assertNotEquals(-1, out.read());
    out.close();
    assertEquals(ExitCode.OUTPUT_CLOSED, process.waitFor(), errText());
    assertEquals("", errText());
  }

  @Test
  void textIsUtf8InAnyLocale() throws Exception {
    Path file = Files.writeString(folder.resolve("text"), "// žluťoučký 猫 🚀\n");
    Process process = start("tokenize", "--json", "-f", file.toString());
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), errText());
    assertTrue(out.contains("\"pieces\""), out);
    assertFalse(out.contains("?"), out);
  }

  @Test
  void invalidUtf8OnStandardInput() throws Exception {
    Process process = start("generate", "-f", "-");
    try (var in = process.getOutputStream()) {
      in.write(new byte[] {'a', (byte) 0xFF, 'b'});
    }
    assertEquals(ExitCode.FAILED, process.waitFor());
    assertTrue(errText().contains("byte 0xFF at offset 1"), errText());
    assertEquals(1, errText().lines().count(), errText());
  }

  @Test
  void logsArePlainLinesOfStandardError() throws Exception {
    Process process = start("generate", "-n", "1", "-v", "x");
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), errText());
    assertFalse(out.contains("debug"), out);
  }
}
