package dev.jacquard.calibration;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.CholeskyDecomposition_F64;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;

/**
 * The basis in which the queries and the keys of a head vary alike: {@code C_k = L·Lᵀ}, {@code
 * Lᵀ·C_q·L = U·Σ²·Uᵀ}, {@code k′ = Σ^½·Uᵀ·L⁻¹·(k − mean)}, {@code q′ = Σ^−½·Uᵀ·Lᵀ·q}. The product
 * of query and key stays what it is, and both covariances become Σ. (Balancing of Gramians, Moore,
 * "Principal component analysis in linear systems", 1981.) Channel c then carries {@code σ_c²} of
 * the variance of the scores, and no other basis puts more of it into the first few.
 *
 * @param sigma [size] Σ, in descending order
 * @param toKey [size × size], row after row
 * @param toQuery [size × size]
 */
@SuppressWarnings("ArrayRecordComponent") // shared on purpose; never compared
record BalancedBasis(double[] mean, double[] sigma, double[] toKey, double[] toQuery) {
  /**
   * Share of the mean variance that is added to each channel, for each channel of the size, over
   * the number of samples: so few samples leave some directions without any variance.
   */
  private static final double SHRINKAGE = 0.1;

  private static final double LEAST_SHRINKAGE = 1e-6;

  /**
   * Share of the mean variance that is added to each channel of the queries, however many samples
   * there are. The calibration's text does not ask for everything that a head can look for: a head
   * that copies finds a token by directions in which other text's queries hardly differ, and a
   * sketch without them is off by 15 nats there, always downwards, because query and key agree in
   * all of them (decision 0009).
   */
  private static final double UNSEEN_QUERIES = 0.1;

  /**
   * The basis of one key/value head. The covariance of the queries is that of their samples and a
   * little in every direction.
   *
   * @param queries of all query heads that read it
   * @throws CalibrationException if the numbers are not finite, or have no variance
   */
  static BalancedBasis of(Moments keys, Moments queries) {
    int n = keys.size();
    DMatrixRMaj ck = regular(keys.covariance(), keys, 0);
    DMatrixRMaj cq = regular(queries.second(), queries, UNSEEN_QUERIES);
    CholeskyDecomposition_F64<DMatrixRMaj> cholesky = DecompositionFactory_DDRM.chol(n, true);
    if (!cholesky.decompose(ck.copy())) {
      throw new CalibrationException("the keys have no covariance that can be decomposed");
    }
    DMatrixRMaj l = cholesky.getT(null);
    DMatrixRMaj inner = product(product(transposed(l), cq), l);
    CommonOps_DDRM.addEquals(inner, transposed(inner.copy()));
    CommonOps_DDRM.scale(0.5, inner);
    EigenDecomposition_F64<DMatrixRMaj> eigen = DecompositionFactory_DDRM.eig(n, true, true);
    if (!eigen.decompose(inner)) {
      throw new CalibrationException("the eigenvalues of queries and keys were not found");
    }
    Integer[] order = new Integer[n];
    double[] values = new double[n];
    for (int i = 0; i < n; i++) {
      order[i] = i;
      values[i] = eigen.getEigenvalue(i).getReal();
    }
    Arrays.sort(order, (a, b) -> Double.compare(values[b], values[a]));
    double[] sigma = new double[n];
    DMatrixRMaj ut = new DMatrixRMaj(n, n);
    for (int i = 0; i < n; i++) {
      sigma[i] = Math.sqrt(Math.max(values[order[i]], Double.MIN_NORMAL));
      System.arraycopy(eigen.getEigenVector(order[i]).data, 0, ut.data, i * n, n);
    }
    DMatrixRMaj inverse = new DMatrixRMaj(n, n);
    if (!CommonOps_DDRM.invert(l, inverse)) {
      throw new CalibrationException("the covariance of the keys cannot be inverted");
    }
    DMatrixRMaj toKey = product(ut, inverse);
    DMatrixRMaj toQuery = product(ut, transposed(l));
    for (int i = 0; i < n; i++) {
      double root = Math.sqrt(sigma[i]);
      for (int j = 0; j < n; j++) {
        toKey.data[i * n + j] *= root;
        toQuery.data[i * n + j] /= root;
      }
    }
    return new BalancedBasis(keys.mean(), sigma, toKey.data, toQuery.data);
  }

  private static DMatrixRMaj regular(double[] covariance, Moments moments, double least) {
    int n = moments.size();
    double trace = 0;
    for (int i = 0; i < n; i++) {
      trace += covariance[i * n + i];
    }
    if (!(trace > 0 && trace < Double.MAX_VALUE)) {
      throw new CalibrationException(
          moments.count() < 2
              ? "there are too few tokens"
              : "the model computes queries or keys that do not vary or are not finite");
    }
    double samples = Math.clamp(SHRINKAGE * n / moments.count(), LEAST_SHRINKAGE, 1.0);
    double share = Math.max(samples, least);
    for (int i = 0; i < n; i++) {
      covariance[i * n + i] += share * trace / n;
    }
    return DMatrixRMaj.wrap(n, n, covariance);
  }

  private static DMatrixRMaj product(DMatrixRMaj a, DMatrixRMaj b) {
    return CommonOps_DDRM.mult(a, b, null);
  }

  private static DMatrixRMaj transposed(DMatrixRMaj a) {
    return CommonOps_DDRM.transpose(a, null);
  }

  int size() {
    return mean.length;
  }

  /** The sketch of {@link QuantizedKv#sketchBits} that this basis allows, of tolerance 1. */
  SketchBasis sketch() {
    int n = size();
    int[] bits = BitAllocation.of(sigma, QuantizedKv.sketchBits(n));
    int channels = 0;
    while (channels < n && bits[channels] > 0) { // sigma descends, and so do the bits
      channels++;
    }
    byte[] channelBits = new byte[channels];
    float[] step = new float[channels];
    for (int c = 0; c < channels; c++) {
      channelBits[c] = (byte) bits[c];
      step[c] = (float) (BitAllocation.step(bits[c]) * Math.sqrt(sigma[c]));
    }
    return new SketchBasis(
        floats(mean, n),
        floats(toKey, channels * n),
        floats(toQuery, channels * n),
        channelBits,
        step,
        1);
  }

  /**
   * Share of the variance of the scores that the first {@code channels} carry, of queries with what
   * is added to them.
   */
  double share(int channels) {
    double kept = 0;
    double all = 0;
    for (int c = 0; c < sigma.length; c++) {
      double variance = sigma[c] * sigma[c];
      all += variance;
      kept += c < channels ? variance : 0;
    }
    return kept / all;
  }

  private static float[] floats(double[] values, int count) {
    float[] result = new float[count];
    for (int i = 0; i < count; i++) {
      result[i] = (float) values[i];
    }
    return result;
  }
}
