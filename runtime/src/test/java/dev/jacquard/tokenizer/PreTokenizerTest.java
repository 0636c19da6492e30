package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The scanners against the regular expressions that they stand for. */
class PreTokenizerTest {
  private static final String SPACE = "\\p{IsWhite_Space}";
  private static final Pattern GPT_2 =
      Pattern.compile(
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^S\\p{L}\\p{N}]+|S+(?!NOTS)|S+"
              .replace("NOTS", "\\P{IsWhite_Space}")
              .replace("S", SPACE));
  private static final List<Pattern> DEFAULT =
      List.of(
          Pattern.compile("[\\p{P}$+<=>^~|]+"),
          GPT_2,
          Pattern.compile("\\p{N}+"),
          Pattern.compile("[0-9][0-9][0-9]"));

  @Test
  void examples() {
    assertEquals(
        List.of("I", "'ve", " been", "  ", " x", "\n", "\n", "y", " '", "S", " 12½", ".", "  "),
        split(PreTokenizer.GPT_2, "I've been   x\n\ny 'S 12½.  "));
    assertEquals(
        List.of("a", " ", "123", "45", " ", "(", "b", ")'", "s"),
        split(PreTokenizer.DEFAULT, "a 12345 (b)'s"));
  }

  @Test
  void randomTexts() {
    Random random = new Random(7);
    for (int i = 0; i < 3000; i++) {
      String text = RandomTexts.next(random);
      assertEquals(splitBy(List.of(GPT_2), text), split(PreTokenizer.GPT_2, text), text);
      assertEquals(splitBy(DEFAULT, text), split(PreTokenizer.DEFAULT, text), text);
    }
  }

  private static List<String> split(PreTokenizer preTokenizer, String text) {
    List<String> words = new ArrayList<>();
    preTokenizer.split(text, 0, text.length(), (from, to) -> words.add(text.substring(from, to)));
    return words;
  }

  /** Cuts at the matches of each pattern within the parts of the one before. */
  private static List<String> splitBy(List<Pattern> patterns, String text) {
    List<String> parts = text.isEmpty() ? List.of() : List.of(text);
    for (Pattern pattern : patterns) {
      List<String> finer = new ArrayList<>();
      for (String part : parts) {
        Matcher matcher = pattern.matcher(part);
        int from = 0;
        while (matcher.find()) {
          if (from < matcher.start()) {
            finer.add(part.substring(from, matcher.start()));
          }
          finer.add(matcher.group());
          from = matcher.end();
        }
        if (from < part.length()) {
          finer.add(part.substring(from));
        }
      }
      parts = finer;
    }
    return parts;
  }
}
