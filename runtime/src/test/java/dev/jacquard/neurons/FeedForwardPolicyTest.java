package dev.jacquard.neurons;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class FeedForwardPolicyTest {
  @Test
  void aTextIsReadAndPrintedAlike() {
    assertEquals(new FeedForwardPolicy.Prompt(0.5), FeedForwardPolicy.parse(" Prompt:0.5"));
    assertEquals("prompt:0.125", FeedForwardPolicy.parse("prompt:0.125").toString());
    assertEquals("dense", FeedForwardPolicy.parse("dense").toString());
    assertEquals(FeedForwardPolicy.dense(), FeedForwardPolicy.parse("prompt:0"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"prompt:1", "prompt:-0.1", "prompt:NaN", "prompt:half", "prompt:", ""})
  void otherTextsAreRefusedWithWhatIsAllowed(String text) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> FeedForwardPolicy.parse(text));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.contains("share") || message.contains("prompt:SHARE"), message);
    assertThrows(IllegalArgumentException.class, () -> new FeedForwardPolicy.Prompt(1));
    assertThrows(IllegalArgumentException.class, () -> new FeedForwardPolicy.Prompt(0));
  }
}
