package dev.jacquard.calibration;

import dev.jacquard.calibration.Calibration.LayerReport;
import dev.jacquard.kernels.SketchBasis;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A layer while it is calibrated: first rows are added, then bases made, then these measured and
 * given their tolerance.
 */
final class LayerCalibration {
  private final CalibrationSite site;
  private final List<HeadCalibration> heads;
  private final SketchError error = new SketchError();
  private List<SketchBasis> bases = List.of();
  private double share;

  LayerCalibration(CalibrationSite site) {
    this.site = site;
    heads =
        Stream.generate(() -> new HeadCalibration(site.spec().keySize()))
            .limit(site.spec().heads())
            .toList();
  }

  /** Adds the rows of a step from {@code skip} on. */
  void add(float[] queries, float[] keys, int skip, int rows) {
    if (skip >= rows) {
      return;
    }
    int size = site.spec().keySize();
    int keyWidth = site.key().width();
    int queryWidth = site.select().query().width();
    for (int head = 0; head < heads.size(); head++) {
      heads.get(head).addKeys(keys, skip * keyWidth + head * size, keyWidth, rows - skip);
      for (int g = 0; g < site.group(); g++) {
        int at = skip * queryWidth + (head * site.group() + g) * size;
        heads.get(head).addQueries(queries, at, queryWidth, rows - skip);
      }
    }
  }

  /**
   * Makes the bases from what was added.
   *
   * @throws CalibrationException if the numbers do not allow it
   */
  void balance() {
    List<BalancedBasis> balanced = heads.parallelStream().map(HeadCalibration::balance).toList();
    bases = balanced.stream().map(BalancedBasis::sketch).toList();
    share =
        IntStream.range(0, bases.size())
            .mapToDouble(h -> balanced.get(h).share(bases.get(h).channels()))
            .average()
            .orElseThrow();
  }

  /** Compares estimates with exact scores in the rows of a step from {@code skip} on. */
  void measure(float[] queries, float[] keys, int skip, int rows) {
    error.add(site, bases, queries, keys, skip, rows);
  }

  /** Gives all bases a tolerance. */
  void tolerate(float tolerance) {
    bases = bases.stream().map(basis -> basis.withTolerance(tolerance)).toList();
  }

  LayerBases bases() {
    return new LayerBases(site.layer(), bases);
  }

  LayerReport report() {
    return new LayerReport(
        site.layer(),
        bases.stream().map(SketchBasis::channels).toList(),
        share,
        error.rootMeanSquare(),
        bases.getFirst().tolerance());
  }
}
