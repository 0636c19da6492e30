package dev.jacquard.cli;

import dev.jacquard.evaluation.Quality;
import dev.jacquard.evaluation.attention.TaskRun;
import java.util.List;

/**
 * What was found of a variant.
 *
 * @param fileBytes size of the model's file
 * @param bytesPerToken bytes of weights, keys and values that a token in the middle of the scored
 *     half reads
 * @param paretoFront whether no other variant is as good with fewer bytes a token, or better with
 *     as many
 */
record QualityResult(
    String name,
    long fileBytes,
    long bytesPerToken,
    Quality quality,
    List<TaskRun.Score> tasks,
    boolean paretoFront) {

  /** The same results, those of the front marked. */
  static List<QualityResult> withFront(List<QualityResult> results) {
    return results.stream()
        .map(
            r ->
                new QualityResult(
                    r.name,
                    r.fileBytes,
                    r.bytesPerToken,
                    r.quality,
                    r.tasks,
                    results.stream().noneMatch(other -> other.dominates(r))))
        .toList();
  }

  private boolean dominates(QualityResult other) {
    double own = quality.klMean();
    double others = other.quality.klMean();
    return bytesPerToken <= other.bytesPerToken
        && own <= others
        && (bytesPerToken < other.bytesPerToken || own < others);
  }
}
