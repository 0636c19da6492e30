package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The queue and the merging against the plainest way to do the same. */
class MergeTest {
  @Test
  void queueIsSorted() {
    Random random = new Random(3);
    MergeQueue queue = new MergeQueue();
    PriorityQueue<Long> expected = new PriorityQueue<>();
    for (int i = 0; i < 20_000; i++) {
      if (random.nextInt(3) > 0) {
        long value = random.nextInt(500);
        queue.add(value);
        expected.add(value);
      } else if (!expected.isEmpty()) {
        assertEquals(expected.remove(), queue.poll());
      }
    }
    while (!expected.isEmpty()) {
      assertEquals(expected.remove(), queue.poll());
    }
    assertTrue(queue.isEmpty());
  }

  /** Random merges over a small alphabet, so that candidates get stale all the time. */
  @Test
  void mergesBestPairFirst() {
    Random random = new Random(4);
    for (int round = 0; round < 300; round++) {
      Map<String, Object> values = TestVocabularies.bpe();
      List<String> tokens = new ArrayList<>(List.of(TestVocabularies.tokens(values)));
      List<String> pieces = new ArrayList<>(List.of("a", "b", "c"));
      List<String> merges = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        String left = pieces.get(random.nextInt(pieces.size()));
        String right = pieces.get(random.nextInt(pieces.size()));
        merges.add(left + " " + right);
        if (!tokens.contains(left + right)) {
          tokens.add(left + right);
          pieces.add(left + right);
        }
      }
      values.put("tokenizer.ggml.tokens", tokens.toArray(String[]::new));
      values.remove("tokenizer.ggml.token_type");
      values.put("tokenizer.ggml.merges", merges.toArray(String[]::new));
      Tokenizer tokenizer = TestVocabularies.of(values);
      StringBuilder word = new StringBuilder();
      for (int i = 1 + random.nextInt(40); i > 0; i--) {
        word.append((char) ('a' + random.nextInt(3)));
      }
      assertArrayEquals(
          mergeSlowly(word.toString(), merges).stream().mapToInt(tokens::indexOf).toArray(),
          tokenizer.encode(word.toString(), Tokenizer.Options.PLAIN),
          word + " with " + merges);
    }
  }

  private static List<String> mergeSlowly(String word, List<String> merges) {
    Map<String, Integer> ranks = new HashMap<>();
    for (int rank = 0; rank < merges.size(); rank++) {
      ranks.putIfAbsent(merges.get(rank), rank);
    }
    List<String> symbols = new ArrayList<>(List.of(word.split("")));
    while (true) {
      int best = -1;
      int bestRank = Integer.MAX_VALUE;
      for (int i = 0; i + 1 < symbols.size(); i++) {
        int rank = ranks.getOrDefault(symbols.get(i) + " " + symbols.get(i + 1), Integer.MAX_VALUE);
        if (rank < bestRank) {
          best = i;
          bestRank = rank;
        }
      }
      if (best < 0) {
        return symbols;
      }
      symbols.set(best, symbols.get(best) + symbols.remove(best + 1));
    }
  }
}
