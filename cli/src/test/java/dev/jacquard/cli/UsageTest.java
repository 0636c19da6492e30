package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class UsageTest {
  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      textBlock =
          """
          generate x -n -2,                  at least 0
          generate x -n many,                at least 0
          generate x -n 99999999999,         at least 0
          generate x -t 0,                   1 to 1024
          generate x -t -1,                  1 to 1024
          generate x -t 4000000,             1 to 1024
          generate x -c -1,                  at least 0
          generate x --batch-size 0,         at least 1
          generate x --temp -0.1,            finite number of at least 0
          generate x --temp NaN,             finite number of at least 0
          generate x --temp Infinity,        finite number of at least 0
          generate x --temp 1e300,           finite number of at least 0
          generate x --top-k -1,             at least 0
          generate x --top-p NaN,            from 0 to 1
          generate x --top-p 1.5,            from 0 to 1
          generate x --min-p -0.5,           from 0 to 1
          generate x --repeat-penalty 0,     above 0
          generate x --repeat-penalty NaN,   above 0
          generate x --repeat-last-n -1,     at least 0
          generate x --seed -2,              at least 0
          generate x --seed 1.5,             at least 0
          generate x --price-per-hour NaN,   finite number of at least 0
          generate x --price-per-hour -1,    finite number of at least 0
          generate x --stop=,                not empty
          generate x --backend gpu,          "auto, vector, reference"
          generate x --kv f8,                F16
          generate x --head exact,           SIXSIGMA
          generate x --attention certified:2,"above 0 and below 1, not 2.0"
          generate x --attention budgeted:x, "'x' is no number"
          generate x --attention exact,      "certified[:epsilon]"
          generate x --attention dense:1,    at most 0 numbers
          generate x --attention certified --kv f16,  "say --kv q8"
          bench --attention budgeted --kv f32,        "say --kv q8"
          generate x --dense-below -1,       at least 0
          generate x --margin NaN,           finite number of at least 0
          generate x --margin -1,            finite number of at least 0
          evaluate logits -f x -o y --last 0, at least 1
          generate,                          PROMPT
          generate x -f y,                   PROMPT
          generate x y,                      y
          generate x --unknown,              --unknown
          tokenize,                          TEXT
          perplexity,                        --file
          perplexity -f x -c 1,              at least 3
          evaluate,                          logits, kl or attention
          evaluate logits -o x,              --ids=FILE
          evaluate logits -f x -o y -n 0,    at least 1
          evaluate kl x,                     CANDIDATE
          evaluate kl x y --max-kl NaN,      finite number of at least 0
          bench -p -1,                       at least 0
          "bench -p 16,x",                   at least 0
          bench -r 0,                        at least 1
          bench --csv --json,                mutually exclusive
          inspect --kv 3,                    F16
          doctor now,                        now
          imatrix x,                         --output
          imatrix -o x,                      DIR or FILE
          imatrix x -o y -c 0,               at least 1
          quantize x y,                      --type
          quantize x --type Q8_0,            OUT
          quantize x y --type Q8_0 --bits 5, exactly one of --type
          quantize x y --bits 5,             --calibrate is missing
          quantize x y --type Q8_0 --calibrate z, --calibrate is for
          quantize x y --size 45XB --calibrate z, "500MB or 20GB"
          quantize x y --bits 0 --calibrate z, above 0
          quantize x y --bits 5 --calibrate z --requantize, takes no
          quantize x y --bits 5 --calibrate z --formats Q9, "Q5_1, Q8_0"
          quantize x y --same-size-as Q9 --calibrate z, "F32, F16, BF16, Q8_0"
          quantize x y --type Q9,            "F32, F16, BF16, Q8_0"
          quantize x y --type Q8_0 --tensor-type a, "PATTERN=FORMAT"
          quantize x y --type Q8_0 --tensor-type (=F16, regular expression
          quantize x y --type Q8_0 --output-tensor-type Q3, "Q5_1, Q8_0"
          quantize x y --type Q8_0 -t 0,     1 to 1024
          index,                             DIR
          index x --list,                    mutually exclusive
          index x --store-size 20XB,         "500MB or 20GB"
          ask x,                             QUESTION
          ask x y -n 0,                      at least 1
          nonsense,                          nonsense
          """)
  void wrongUsageSaysWhatIsAllowed(String line, String expected) {
    Outcome outcome = Outcome.of(line.split(" "));
    assertEquals(ExitCode.USAGE, outcome.code(), outcome.err());
    assertEquals("", outcome.out());
    assertTrue(outcome.err().startsWith("jacquard: "), outcome.err());
    assertTrue(outcome.err().contains(expected), outcome.err());
    assertTrue(outcome.err().contains("--help"), outcome.err());
    assertEquals(2, outcome.err().lines().count(), outcome.err());
  }

  @Test
  void withoutCommandItAsksForOne() {
    Outcome outcome = Outcome.of();
    assertEquals(ExitCode.USAGE, outcome.code());
    assertTrue(outcome.err().contains("command"), outcome.err());
  }

  static Stream<Arguments> commands() {
    return Stream.of(
            "",
            "generate",
            "inspect",
            "tokenize",
            "perplexity",
            "evaluate",
            "evaluate logits",
            "evaluate kl",
            "bench",
            "doctor",
            "index",
            "ask",
            "imatrix",
            "quantize")
        .map(Arguments::of);
  }

  @ParameterizedTest
  @MethodSource("commands")
  void helpHasAnExampleAndTheExitCodes(String command) {
    Outcome outcome = Outcome.of((command + " --help").strip().split(" "));
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertEquals("", outcome.err());
    String name = ("jacquard " + command).strip();
    assertTrue(outcome.out().startsWith("Usage: " + name + " "), outcome.out());
    assertTrue(
        outcome.out().matches("(?s).*Example:\n +(git diff \\| )?" + name + " .*"), outcome.out());
    for (String code : List.of("0", "1", "2", "3", "130", "141")) {
      assertTrue(outcome.out().matches("(?s).*\n +" + code + " +\\S.*"), outcome.out());
    }
    assertFalse(outcome.out().contains("\u001b"), outcome.out());
    assertTrue(outcome.out().lines().allMatch(l -> l.length() <= 100), outcome.out());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"-t", "-c", "-b", "--backend", "--kv", "--attention", "--dense-below", "-m"})
  void commandsThatRunAModelShareTheirOptions(String option) {
    for (String command : List.of("generate", "perplexity", "evaluate logits", "bench")) {
      Outcome outcome = Outcome.of((command + " --help").split(" "));
      assertTrue(
          outcome.out().matches("(?s).* " + option + "[,=].*"), command + ": " + outcome.out());
    }
  }

  @Test
  void versionNamesJavaAndTheVectorUnit() {
    Outcome outcome = Outcome.of("--version");
    assertEquals(ExitCode.OK, outcome.code());
    assertTrue(outcome.out().contains("Java " + Runtime.version().feature()), outcome.out());
    assertTrue(outcome.out().contains("bit") || outcome.out().contains("no "), outcome.out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"generate x", "inspect", "tokenize x", "bench"})
  void aModelThatIsNotThereIsNamed(String command) {
    Outcome outcome = Outcome.of((command + " -m absent.gguf").split(" "));
    assertEquals(ExitCode.FAILED, outcome.code());
    assertEquals("", outcome.out());
    assertTrue(outcome.err().contains("absent.gguf"), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
  }
}
