package dev.jacquard.evaluation.attention;

import dev.jacquard.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/** Asks {@link CodeTask}s of any model that reads a text and decodes tokens one by one. */
public final class TaskRun {
  /** Where answers stand in the text. */
  private static final List<Double> DEPTHS = List.of(0.0, 0.25, 0.5, 0.75, 1.0);

  /** What is asked. One thread. */
  public interface Reader {
    /** Reads tokens from an empty context. */
    void read(int[] tokens);

    /** Reads one more token and returns the logits after it, until the next call. */
    float[] decode(int token);
  }

  /**
   * How a model did.
   *
   * @param task name of the task
   * @param tokens of a prompt
   * @param questions number of them
   * @param chance share of right choices by chance
   * @param choice share of questions whose right answer was the most probable of those offered
   * @param exact share of questions that greedy decoding answers word for word
   */
  public record Score(
      String task, int tokens, int questions, double chance, double choice, double exact) {}

  private TaskRun() {}

  /**
   * Asks questions of one task at five depths.
   *
   * @param sources tokens of sources, BOS first where the model wants one; at least {@code tokens}
   * @param tokens of a prompt
   * @param seeds questions at each depth
   */
  public static Score ask(
      CodeTask task, int[] sources, int tokens, int seeds, Tokenizer tokenizer, Reader reader) {
    List<Boolean> choices = new ArrayList<>();
    List<Boolean> exact = new ArrayList<>();
    double chance = 0;
    for (double depth : DEPTHS) {
      for (int seed = 0; seed < seeds; seed++) {
        CodeTask.Question question = task.question(depth, seed * 97L + Math.round(depth * 1000));
        chance = question.chance();
        TaskPrompt prompt = TaskPrompt.of(question, sources, tokens, tokenizer);
        reader.read(prompt.context());
        float[] logits = {};
        for (int token : prompt.question()) {
          logits = reader.decode(token);
        }
        choices.add(prompt.chosen(logits));
        exact.add(prompt.answered(logits, reader::decode));
      }
    }
    return new Score(task.label(), tokens, choices.size(), chance, share(choices), share(exact));
  }

  private static double share(List<Boolean> answers) {
    return answers.stream().filter(right -> right).count() / (double) answers.size();
  }
}
