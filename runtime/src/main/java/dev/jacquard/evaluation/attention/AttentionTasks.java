package dev.jacquard.evaluation.attention;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.evaluation.attention.AttentionMethod.OfBaseline;
import dev.jacquard.evaluation.attention.AttentionMethod.OfClass;
import dev.jacquard.evaluation.attention.AttentionMethod.OfPrompt;
import dev.jacquard.evaluation.attention.AttentionResults.GridCell;
import dev.jacquard.evaluation.attention.AttentionResults.OfTask;
import dev.jacquard.evaluation.attention.AttentionResults.TaskScore;
import dev.jacquard.kernels.Exactness;
import java.util.ArrayList;
import java.util.List;

/**
 * Asks {@link CodeTask}s: the text is read densely (but by {@link OfPrompt}), the question and the
 * answer are decoded with each method.
 */
public final class AttentionTasks {
  /** What DENSE must reach above chance, as a share of what is above it, for a task to count. */
  private static final double SKILL = 0.5;

  /**
   * What is asked.
   *
   * @param tasks kinds of questions
   * @param methods besides DENSE
   * @param depths where answers stand, each from 0 to 1
   * @param seeds questions for each depth
   */
  public record Settings(
      List<CodeTask> tasks, List<AttentionMethod> methods, List<Double> depths, int seeds) {
    /** Copies and checks. */
    public Settings {
      tasks = List.copyOf(tasks);
      methods = List.copyOf(methods);
      depths = List.copyOf(depths);
      if (seeds < 1 || depths.isEmpty()) {
        throw new IllegalArgumentException("at least one depth and one seed");
      }
    }
  }

  private record Answer(boolean choice, boolean exact) {}

  private final AttentionLab lab;
  private final Settings settings;
  private final AttentionQuality.Progress progress;
  private final StepExaminer examiner;
  private final List<AttentionMethod> methods = new ArrayList<>();

  /** Asks the model of {@code lab}. */
  public AttentionTasks(AttentionLab lab, Settings settings, AttentionQuality.Progress progress) {
    this.lab = lab;
    this.settings = settings;
    this.progress = progress;
    examiner = new StepExaminer(lab);
    methods.add(new OfClass(Exactness.DENSE));
    methods.addAll(settings.methods);
  }

  /**
   * Asks all questions in prompts of {@code tokens}.
   *
   * @param sources tokens of sources, at least as many
   */
  public List<OfTask> ask(int[] sources, int tokens) {
    List<OfTask> results = new ArrayList<>();
    int total = settings.tasks.size() * settings.depths.size() * settings.seeds;
    int done = 0;
    for (CodeTask task : settings.tasks) {
      List<List<Answer>> answers = new ArrayList<>();
      List<Double> depthOf = new ArrayList<>();
      double chance = 0;
      for (double depth : settings.depths) {
        for (int seed = 0; seed < settings.seeds; seed++) {
          CodeTask.Question question = task.question(depth, seed * 97L + Math.round(depth * 1000));
          chance = question.chance();
          answers.add(ask(TaskPrompt.of(question, sources, tokens, lab.tokenizer())));
          depthOf.add(depth);
          progress.at("tasks in " + tokens + " tokens: " + task.label(), ++done / (double) total);
        }
      }
      results.add(result(task, tokens, chance, answers, depthOf));
    }
    return results;
  }

  private OfTask result(
      CodeTask task, int tokens, double chance, List<List<Answer>> answers, List<Double> depthOf) {
    List<TaskScore> scores = new ArrayList<>();
    List<GridCell> grid = new ArrayList<>();
    for (int m = 0; m < methods.size(); m++) {
      int method = m;
      String name = methods.get(m).name();
      List<Answer> own = answers.stream().map(all -> all.get(method)).toList();
      scores.add(
          new TaskScore(
              name,
              share(own.stream().map(Answer::choice).toList()),
              share(own.stream().map(Answer::exact).toList())));
      for (double depth : task == CodeTask.NEEDLE ? settings.depths : List.<Double>of()) {
        List<Answer> there = new ArrayList<>();
        for (int i = 0; i < own.size(); i++) {
          if (depthOf.get(i) == depth) {
            there.add(own.get(i));
          }
        }
        grid.add(
            new GridCell(
                name,
                depth,
                share(there.stream().map(Answer::choice).toList()),
                share(there.stream().map(Answer::exact).toList())));
      }
    }
    boolean counts = scores.getFirst().choice() >= chance + SKILL * (1 - chance);
    return new OfTask(task.label(), tokens, answers.size(), chance, counts, scores, grid);
  }

  private static double share(List<Boolean> answers) {
    return answers.stream().filter(right -> right).count() / (double) answers.size();
  }

  private List<Answer> ask(TaskPrompt prompt) {
    List<Answer> answers = new ArrayList<>();
    try (KvSequence context = lab.newSequence()) {
      lab.prefill(context, prompt.context(), prompt.context().length, _ -> {});
      for (AttentionMethod method : methods) {
        examiner.begin(method, answers.isEmpty() ? 0 : prompt.context().length);
        try (KvSequence sequence =
            method instanceof OfPrompt p ? read(prompt, p) : context.fork()) {
          answers.add(answer(sequence, prompt, method));
        }
      }
    }
    return answers;
  }

  /** The prompt's text, read by a method of its own. */
  private KvSequence read(TaskPrompt prompt, OfPrompt method) {
    KvSequence sequence = lab.newSequence();
    try {
      int[] context = prompt.context();
      lab.prefill(sequence, context, context.length, method.ofPrompt(), _ -> {});
      return sequence;
    } catch (RuntimeException | Error e) {
      sequence.close();
      throw e;
    }
  }

  private Answer answer(KvSequence sequence, TaskPrompt prompt, AttentionMethod method) {
    float[] logits = new float[lab.vocabulary()];
    for (int token : prompt.question()) {
      step(sequence, token, method, logits);
    }
    boolean choice = prompt.chosen(logits);
    return new Answer(
        choice,
        prompt.answered(
            logits,
            token -> {
              step(sequence, token, method, logits);
              return logits;
            }));
  }

  private void step(KvSequence sequence, int token, AttentionMethod method, float[] logits) {
    examiner.step(false, sequence.length());
    boolean replaced = method instanceof OfBaseline;
    lab.decode(sequence, token, method.exactness(), replaced ? examiner : null, logits);
  }
}
