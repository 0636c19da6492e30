package dev.jacquard.evaluation.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import dev.jacquard.tokenizer.Tokenizers;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CodeTaskTest {
  @ParameterizedTest
  @EnumSource
  void questionsFollowFromTheSeedAndTheirAnswerStandsInTheText(CodeTask task) {
    CodeTask.Question question = task.question(0.5, 3);
    assertEquals(question, task.question(0.5, 3));
    assertNotEquals(question, task.question(0.5, 4));

    String text =
        question.insertions().stream().map(CodeTask.Insertion::text).collect(Collectors.joining());
    String shortest = question.answer().replaceAll("[;\"}]", "");
    assertTrue(text.contains(shortest), text);
    Set<Character> first = new HashSet<>(Set.of(question.answer().charAt(0)));
    for (String wrong : question.wrong()) {
      assertTrue(first.add(wrong.charAt(0)), wrong + " begins as another answer");
    }
    assertEquals(1.0 / first.size(), question.chance());
    double depth = 0;
    for (CodeTask.Insertion insertion : question.insertions()) {
      assertTrue(insertion.depth() >= depth && insertion.depth() <= 1);
      depth = insertion.depth();
    }
  }

  @Test
  void theNeedleStandsAtItsDepthBetweenLines() throws IOException {
    try (GgufFile file = GgufFile.open(TestData.bundledModel())) {
      Tokenizer tokenizer = Tokenizers.of(file.metadata());
      String sources = Files.readString(TestData.resource("reference/text-java.txt")).repeat(8);
      int[] ids = tokenizer.encode(sources, Tokenizer.Options.DEFAULT);
      CodeTask.Question question = CodeTask.NEEDLE.question(0.5, 1);
      TaskPrompt prompt = TaskPrompt.of(question, ids, 600, tokenizer);
      int total = prompt.context().length + prompt.question().length + prompt.answer().length;
      assertEquals(600, total);
      String context = tokenizer.decode(prompt.context());
      int at = context.indexOf(question.question());
      assertEquals(0.5, at / (double) context.length(), 0.1);
      assertEquals('\n', context.charAt(at - 1));
      assertTrue(context.substring(at).startsWith(question.question() + question.answer()));
      assertEquals(
          question.question() + question.answer(),
          (tokenizer.decode(prompt.question()) + tokenizer.decode(prompt.answer()))
              .strip()
              .indent(4)
              .stripTrailing());
      assertEquals(prompt.answer()[0], prompt.firstTokens()[0]);
      assertEquals(
          prompt.firstTokens().length, Arrays.stream(prompt.firstTokens()).distinct().count());
      int[] whole = tokenizer.encode("\n" + question.question(), Tokenizer.Options.PLAIN);
      assertArrayEquals(
          Arrays.copyOf(whole, prompt.question().length), prompt.question(), "a prefix");

      IllegalArgumentException tooShort =
          assertThrows(
              IllegalArgumentException.class,
              () -> TaskPrompt.of(question, Arrays.copyOf(ids, 100), 600, tokenizer));
      assertTrue(String.valueOf(tooShort.getMessage()).contains("100"));
    }
  }
}
