package dev.jacquard.evaluation.attention;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was measured, as it is written to JSON. Bytes are shares of what DENSE reads of the layers
 * without a window, at the same length; layers with a window are read whole by every method and are
 * not counted.
 *
 * @param model file name
 * @param backend what computed
 * @param sketched whether the cache had sketches; without, BUDGETED and VERIFIED read everything
 * @param basisText what text the bases of the sketches were made from; empty without bases
 * @param seen share of the lines of the evaluated text that the bundled calibration text has too;
 *     what was measured on these is not held out if the bases were made from it
 * @param lengths one entry for each length of text
 * @param tasks one entry for each task and length
 */
public record AttentionResults(
    String model,
    String backend,
    boolean sketched,
    String basisText,
    double seen,
    List<OfLength> lengths,
    List<OfTask> tasks) {

  /**
   * One length of text.
   *
   * @param tokens of the text, the last of which are decoded one by one
   * @param positions how many are decoded
   * @param sparsity of the true weights, by layer and head
   * @param methods DENSE first
   */
  public record OfLength(
      int tokens, int positions, List<Sparsity> sparsity, List<OfMethod> methods) {}

  /**
   * How many tokens hold 50, 90, 95 and 99 % of a query head's true weight, at the mean of the
   * steps examined.
   */
  public record Sparsity(
      int layer, int head, double tokens50, double tokens90, double tokens95, double tokens99) {}

  /**
   * One method at one length, against DENSE over the same cache.
   *
   * @param method name, as {@code budgeted:0.8}
   * @param family the name without its numbers
   * @param bytes share of the bytes that DENSE reads, of a method that reads prompts for the prompt
   * @param klMean KL(DENSE ‖ method) in nats per token
   * @param kl95 95 % of the positions are no further apart
   * @param top1 share of positions with the same most probable token
   * @param top5 mean share of DENSE's five best among the method's
   * @param perplexity of the text at these positions
   * @param massRecall mean true softmax mass of the tokens read as tokens, 1 if all are
   * @param errorMean mean of ‖o − o′‖ / diam(V), diam(V) being the lower bound that is used
   * @param boundMean mean of the bounds that were given, 0 if none
   * @param examined heads and steps that were examined
   * @param violations of these, with an error above the bound
   * @param escalated heads and steps that read everything because their audit failed
   * @param divergence tokens of a greedy continuation before the first other one; null if all agree
   *     or none was made
   * @param greedyTokens length of that continuation
   * @param secondsPerToken of the decode steps, with what the examination takes; of a method that
   *     reads prompts, of the prompt
   * @param heads by layer and head
   * @param points some bounds and true errors
   */
  public record OfMethod(
      String method,
      String family,
      double bytes,
      double klMean,
      double kl95,
      double klMax,
      double top1,
      double top5,
      double perplexity,
      double massRecall,
      double errorMean,
      double errorWorst,
      double boundMean,
      double boundWorst,
      int examined,
      int violations,
      long escalated,
      @Nullable Integer divergence,
      int greedyTokens,
      double secondsPerToken,
      List<OfHead> heads,
      List<BoundPoint> points) {}

  /** Means over the examined steps of one query head. */
  public record OfHead(
      int layer, int head, double massRecall, double kept, double errorMean, double errorWorst) {}

  /** A bound that was given, and the true error. */
  public record BoundPoint(double bound, double error) {}

  /**
   * One task at one length.
   *
   * @param task name
   * @param tokens of the prompt
   * @param cases how many questions
   * @param chance accuracy of a blind choice
   * @param counts whether DENSE can do it on this model: only then a class is judged by it
   * @param methods accuracy of each, DENSE first
   * @param grid of the needle task: accuracy by depth, for each method; else empty
   */
  public record OfTask(
      String task,
      int tokens,
      int cases,
      double chance,
      boolean counts,
      List<TaskScore> methods,
      List<GridCell> grid) {}

  /**
   * Accuracy of a method at a task.
   *
   * @param choice share of questions where the right answer is the most probable of those offered
   * @param exact share of questions that greedy decoding answers word for word
   */
  public record TaskScore(String method, double choice, double exact) {}

  /** Accuracy of a method at one depth, from 0 to 1, of the text. */
  public record GridCell(String method, double depth, double choice, double exact) {}
}
