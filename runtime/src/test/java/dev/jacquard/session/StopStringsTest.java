package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class StopStringsTest {
  @Test
  void withoutStopStringsTextPassesAtOnce() {
    StopStrings stops = new StopStrings(List.of());
    assertEquals("any text", stops.accept("any text"));
    assertEquals("", stops.finish());
    assertFalse(stops.found());
  }

  @Test
  void holdsBackWhatCouldBecomeAStopString() {
    StopStrings stops = new StopStrings(List.of("</s>", "User:"));
    assertEquals("one ", stops.accept("one <"));
    assertEquals("", stops.accept("/"));
    assertEquals("</ two ", stops.accept(" two Us"));
    assertEquals("Us", stops.finish());
    assertFalse(stops.found());
  }

  @Test
  void cutsExactlyBeforeTheStopString() {
    StopStrings stops = new StopStrings(List.of("</s>"));
    assertEquals("a<", stops.accept("a<<"));
    assertEquals("", stops.accept("/s"));
    assertEquals("", stops.accept("> and more"));
    assertTrue(stops.found());
    assertEquals("", stops.accept("later"));
    assertEquals("", stops.finish());
  }

  @Test
  void theFirstToBeCompleteCounts() {
    StopStrings stops = new StopStrings(List.of("abcd", "bc"));
    assertEquals("a", stops.accept("abcd"));
  }

  @Test
  void ofTwoThatEndTogetherTheLongerCounts() {
    StopStrings stops = new StopStrings(List.of("c", "abc"));
    assertEquals("x", stops.accept("xabc"));
  }

  @Test
  void keepsCharactersOutsideTheBasicPlaneWhole() {
    StopStrings stops = new StopStrings(List.of("😀!"));
    assertEquals("a", stops.accept("a😀"));
    assertEquals("😀", stops.accept("😀"));
    assertEquals("😀?", stops.accept("?"));
  }

  @Test
  void aRequestRefusesHalfACharacter() {
    GenerationRequest request = GenerationRequest.of(1);
    assertThrows(IllegalArgumentException.class, () -> request.withStopStrings("\uDE00"));
    assertThrows(IllegalArgumentException.class, () -> request.withStopStrings("x\uD83D"));
    assertThrows(IllegalArgumentException.class, () -> request.withStopStrings(""));
  }

  @Test
  void agreesWithThePlainDefinitionHoweverTheTextIsCut() {
    Random random = new Random(7);
    for (int round = 0; round < 20_000; round++) {
      List<String> stopStrings = new ArrayList<>();
      for (int i = random.nextInt(1, 4); i > 0; i--) {
        stopStrings.add(text(random, random.nextInt(1, 6)));
      }
      String text = text(random, random.nextInt(30));
      String expected = text.substring(0, end(text, stopStrings));

      StopStrings stops = new StopStrings(stopStrings);
      StringBuilder shown = new StringBuilder();
      int done = 0;
      while (done < text.length()) {
        int next = Math.min(text.length(), done + random.nextInt(4));
        shown.append(stops.accept(text.substring(done, next)));
        done = next;
        if (!stops.found()) {
          String sure = text.substring(0, done - unsure(text.substring(0, done), stopStrings));
          assertEquals(sure, shown.toString(), () -> stopStrings + " in " + text);
        }
      }
      shown.append(stops.finish());
      assertEquals(expected, shown.toString(), () -> stopStrings + " in " + text);
      assertEquals(expected.length() < text.length(), stops.found());
    }
  }

  private static String text(Random random, int length) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.append((char) ('a' + random.nextInt(2)));
    }
    return text.toString();
  }

  /** Where the text ends: before the longest of the stop strings that are complete first. */
  private static int end(String text, List<String> stops) {
    for (int to = 1; to <= text.length(); to++) {
      String head = text.substring(0, to);
      int longest = stops.stream().filter(head::endsWith).mapToInt(String::length).max().orElse(0);
      if (longest > 0) {
        return to - longest;
      }
    }
    return text.length();
  }

  /** How many characters at the end could become a stop string. */
  private static int unsure(String text, List<String> stops) {
    int longest = 0;
    for (String stop : stops) {
      for (int n = 1; n < stop.length(); n++) {
        if (text.endsWith(stop.substring(0, n))) {
          longest = Math.max(longest, n);
        }
      }
    }
    return longest;
  }
}
