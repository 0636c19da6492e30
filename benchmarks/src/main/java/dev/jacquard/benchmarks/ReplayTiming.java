package dev.jacquard.benchmarks;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import java.util.List;

/**
 * Choice and attention of some steps, of one class of exactness.
 *
 * @param selectMicroseconds choice, all layers: median over steps of the fastest round
 * @param attendMicroseconds attention, likewise
 * @param bytes share of the bytes of DENSE
 * @param fine share of the tokens that are read in 8 bits by some head of a key/value head
 * @param nmse error of the output against the first class
 */
record ReplayTiming(
    double selectMicroseconds, double attendMicroseconds, double bytes, double fine, double nmse) {
  /** A step: the queries from {@code first} to {@code end} − 1. */
  record Rows(int first, int end) {
    int count() {
      return end - first;
    }
  }

  /** A class of exactness while it is timed. */
  private static final class Turns {
    final Exactness exactness;
    final double[] select;
    final double[] attend;
    final double[] error = new double[2];
    double bytesRead;
    double bytesDense;
    double fine;
    double tokens;

    Turns(Exactness exactness, int steps) {
      this.exactness = exactness;
      select = new double[steps];
      attend = new double[steps];
    }

    void time(Replay replay, int step, Rows rows, boolean first) {
      AttentionWatch watch = new AttentionWatch();
      replay.step(rows.first, rows.end, exactness, watch);
      if (first || watch.select() + watch.attend() < select[step] + attend[step]) {
        select[step] = watch.select();
        attend[step] = watch.attend();
      }
    }

    float[] compare(Replay replay, Rows rows, float[] dense) {
      replay.step(rows.first, rows.end, exactness, null);
      float[] result = replay.results(rows.count());
      Difference.add(error, result, dense.length == 0 ? result : dense);
      for (int row = 0; row < rows.count(); row++) {
        AttentionReport.Row report = replay.report(row);
        bytesRead += report.bytesRead();
        bytesDense += report.bytesDense();
        fine += report.fine();
        tokens += replay.visibleTokens(rows.first + row);
      }
      return result;
    }

    ReplayTiming done() {
      return new ReplayTiming(
          Median.of(select) / 1e3,
          Median.of(attend) / 1e3,
          bytesRead / bytesDense,
          fine / tokens,
          error[0] / error[1]);
    }
  }

  double microseconds() {
    return selectMicroseconds + attendMicroseconds;
  }

  /**
   * Stops the benchmark if a class does not compute what the reference computes.
   *
   * @param bound of the error of classes other than DENSE: a token or page at the border of what is
   *     read may fall on either side of it
   */
  static void check(
      Replay replay, Replay reference, List<Exactness> classes, Rows rows, double bound) {
    for (Exactness exactness : classes) {
      replay.step(rows.first, rows.end, exactness, null);
      reference.step(rows.first, rows.end, exactness, null);
      Difference.require(
          exactness + ", " + rows,
          replay.results(rows.count()),
          reference.results(rows.count()),
          exactness instanceof Exactness.Dense ? Difference.SAME_NUMBERS : bound);
    }
  }

  /**
   * Times classes, which take turns; the first is what the others are compared with, and a round
   * that is not timed compares them.
   */
  static List<ReplayTiming> of(
      Replay replay, List<Exactness> classes, List<Rows> steps, int rounds) {
    List<Turns> turns = classes.stream().map(c -> new Turns(c, steps.size())).toList();
    for (Rows rows : steps) {
      float[] dense = {};
      for (Turns turn : turns) {
        float[] result = turn.compare(replay, rows, dense);
        dense = dense.length == 0 ? result : dense;
      }
    }
    for (int round = 0; round < rounds; round++) {
      for (Turns turn : turns) {
        for (int step = 0; step < steps.size(); step++) {
          turn.time(replay, step, steps.get(step), round == 0);
        }
      }
    }
    return turns.stream().map(Turns::done).toList();
  }
}
