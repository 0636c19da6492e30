package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;

class BenchAndDoctorTest {
  @Test
  void benchNamesItsTestsAsLlamaBenchDoes() throws IOException {
    Outcome outcome =
        Outcome.of("bench", "-p", "8", "-n", "2,0", "-d", "0,5", "-r", "3", "--json");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertEquals("", outcome.err());
    JsonNode rows = new ObjectMapper().readTree(outcome.out());
    List<String> names =
        StreamSupport.stream(rows.spliterator(), false).map(r -> r.get("test").asText()).toList();
    assertEquals(List.of("pp8", "tg2", "pp8 @ d5", "tg2 @ d5"), names);
    JsonNode last = rows.get(3);
    assertEquals(0, last.get("n_prompt").asInt());
    assertEquals(2, last.get("n_gen").asInt());
    assertEquals(5, last.get("n_depth").asInt());
    JsonNode speed = last.get("tokens_per_second");
    assertTrue(speed.get("min").asDouble() > 0);
    assertTrue(speed.get("min").asDouble() <= speed.get("median").asDouble());
    assertTrue(speed.get("median").asDouble() <= speed.get("max").asDouble());
  }

  @Test
  void benchPrintsTables() {
    Outcome csv = Outcome.of("bench", "-p", "4", "-n", "0", "-r", "1", "--csv");
    assertEquals(
        "test,n_prompt,n_gen,n_depth,median,min,max", csv.out().lines().findFirst().orElse(""));
    assertTrue(csv.out().lines().skip(1).allMatch(l -> l.matches("pp4,4,0,0(,[0-9.]+){3}")));
    Outcome table = Outcome.of("bench", "-p", "0", "-n", "1", "-r", "1");
    assertTrue(table.out().startsWith("| model | backend | test |"), table.out());
    assertTrue(table.out().contains("| tg1 |"), table.out());
  }

  @Test
  void theMedianOfAnEvenNumberIsBetweenTheMiddleOnes() {
    assertEquals(
        new BenchCommand.Speed(2.5, 1, 9), BenchCommand.Speed.of(new double[] {9, 2, 3, 1}));
    assertEquals(new BenchCommand.Speed(3, 1, 9), BenchCommand.Speed.of(new double[] {9, 3, 1}));
  }

  @Test
  void doctorTestsEveryBackend() throws IOException {
    Outcome text = Outcome.of("doctor");
    assertEquals(ExitCode.OK, text.code(), text.out() + text.err());
    assertTrue(text.out().contains("PASS  reference"), text.out());
    assertTrue(text.out().contains("PASS  vector"), text.out());
    JsonNode document = new ObjectMapper().readTree(Outcome.of("doctor", "--json").out());
    assertTrue(document.get("backends").get(0).get("pass").asBoolean());
    assertEquals("Java", document.get("machine").get(1).get("name").asText());
  }
}
