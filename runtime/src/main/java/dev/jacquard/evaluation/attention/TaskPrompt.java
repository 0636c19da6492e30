package dev.jacquard.evaluation.attention;

import dev.jacquard.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * A question in tokens.
 *
 * @param context what is read densely: sources with the insertions between their lines
 * @param question decoded with the method
 * @param answer the right answer, which follows the question
 * @param firstTokens the first token of each answer, the right one first; all different
 */
@SuppressWarnings("ArrayRecordComponent") // passed on, never compared
record TaskPrompt(int[] context, int[] question, int[] answer, int[] firstTokens) {
  private static final byte NEW_LINE = '\n';

  /**
   * Puts a question into sources.
   *
   * @param sources tokens of the sources, BOS first where the model wants one; longer than needed
   * @param tokens of the whole prompt, at most
   * @throws IllegalArgumentException if the sources are too short, or the prompt is too short for
   *     what is to be put into it
   */
  static TaskPrompt of(CodeTask.Question question, int[] sources, int tokens, Tokenizer tokenizer) {
    List<int[]> answers = new ArrayList<>();
    String lead = "\n" + question.question();
    answers.add(tokenizer.encode(lead + question.answer(), Tokenizer.Options.PLAIN));
    for (String wrong : question.wrong()) {
      answers.add(tokenizer.encode(lead + wrong, Tokenizer.Options.PLAIN));
    }
    int common = common(answers);
    int[] asked = Arrays.copyOf(answers.getFirst(), common);
    int[] answer = Arrays.copyOfRange(answers.getFirst(), common, answers.getFirst().length);
    int[] firstTokens = answers.stream().mapToInt(ids -> ids[common]).toArray();

    List<int[]> inserted = new ArrayList<>();
    int added = 0;
    for (CodeTask.Insertion insertion : question.insertions()) {
      int[] ids =
          tokenizer.encode("\n" + insertion.text().stripTrailing(), Tokenizer.Options.PLAIN);
      inserted.add(ids);
      added += ids.length;
    }
    int room = tokens - added - asked.length - answer.length;
    if (room < tokens / 4 || room > sources.length) {
      throw new IllegalArgumentException(
          "a prompt of %d tokens has %d tokens beside its sources, of which there are %d"
              .formatted(tokens, tokens - room, sources.length));
    }
    return new TaskPrompt(
        merged(question.insertions(), inserted, sources, room, tokenizer),
        asked,
        answer,
        firstTokens);
  }

  /** Whether the right answer is the most probable of those offered, after the question. */
  boolean chosen(float[] logits) {
    int right = firstTokens[0];
    for (int token : firstTokens) {
      if (token != right && logits[token] >= logits[right]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether each token of the answer is the best after those before it.
   *
   * @param first logits after the question
   * @param decode reads a token and returns the logits after it
   */
  boolean answered(float[] first, IntFunction<float[]> decode) {
    float[] logits = first;
    for (int i = 0; i < answer.length; i++) {
      if (LogitComparison.best(logits)[0] != answer[i]) {
        return false;
      }
      if (i < answer.length - 1) {
        logits = decode.apply(answer[i]);
      }
    }
    return true;
  }

  /** Tokens that all answers begin with; behind them each goes on with another one. */
  private static int common(List<int[]> answers) {
    int[] first = answers.getFirst();
    int common = first.length - 1;
    for (int[] other : answers.subList(1, answers.size())) {
      int mismatch = Arrays.mismatch(first, other);
      common = Math.min(common, Math.min(mismatch < 0 ? common : mismatch, other.length - 1));
    }
    return common;
  }

  private static int[] merged(
      List<CodeTask.Insertion> insertions,
      List<int[]> ids,
      int[] sources,
      int room,
      Tokenizer tokenizer) {
    int[] merged = new int[room + ids.stream().mapToInt(part -> part.length).sum()];
    int taken = 0;
    int filled = 0;
    for (int i = 0; i < ids.size(); i++) {
      int end = Math.max(taken, lineEnd(sources, insertions.get(i).depth(), room, tokenizer));
      System.arraycopy(sources, taken, merged, filled, end - taken);
      filled += end - taken;
      taken = end;
      System.arraycopy(ids.get(i), 0, merged, filled, ids.get(i).length);
      filled += ids.get(i).length;
    }
    System.arraycopy(sources, taken, merged, filled, room - taken);
    return merged;
  }

  /** The place before the first line end from {@code depth} of the first {@code room} tokens on. */
  private static int lineEnd(int[] sources, double depth, int room, Tokenizer tokenizer) {
    for (int i = Math.max(1, (int) (depth * (room - 1))); i < room; i++) {
      byte[] bytes = tokenizer.bytes(sources[i]);
      if (bytes.length > 0 && bytes[0] == NEW_LINE) {
        return i;
      }
    }
    return room;
  }
}
