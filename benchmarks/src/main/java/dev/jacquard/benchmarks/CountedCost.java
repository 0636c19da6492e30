package dev.jacquard.benchmarks;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.session.StepCost;

/**
 * What a decoded token costs by counting: the same on every machine and in every run.
 *
 * @param bytes of weights, keys and values that it reads
 * @param multiplyAdds of what is not left out; those of neurons and of attention go with the bytes
 *     that these read
 */
record CountedCost(long bytes, long multiplyAdds) {
  /** Of a step of one row with one output. */
  static CountedCost of(StepCost dense, Executable executable, int position) {
    AttentionReport.Row attention = executable.attention().row(0);
    FeedForwardReport neurons = executable.feedForward();
    HeadReport.Row head = executable.head().row(0);
    long bytes =
        dense.bytesAt(position)
            - (attention.bytesDense() - attention.bytesRead())
            - (neurons.bytesDense(0) - neurons.bytes(0))
            - (head.bytesDense() - head.bytes());
    double multiplyAdds =
        dense.multiplyAddsAt(position)
            - dense.attentionMultiplyAddsAt(position)
                * (1 - share(attention.bytesRead(), attention.bytesDense()))
            - dense.feedForwardMultiplyAdds()
                * (1 - share(neurons.bytes(0), neurons.bytesDense(0)));
    return new CountedCost(bytes, Math.round(multiplyAdds));
  }

  private static double share(long read, long all) {
    return all == 0 ? 1 : (double) read / all;
  }
}
