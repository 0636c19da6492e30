package dev.jacquard.session;

import dev.jacquard.kernels.FeedForwardReport;

/** Adds up what feed-forward layers computed for several rows. */
final class FeedForwardTally {
  private long computed;
  private long neurons;
  private long bytesRead;
  private long bytesDense;

  /** Adds the rows that a job has in the step that has just run; returns bytes it spared. */
  long add(Job job, StepLogits step) {
    FeedForwardReport report = step.feedForward();
    long spared = 0;
    for (int row = job.firstRow(); row < job.firstRow() + job.rows(); row++) {
      computed += report.computed(row);
      neurons += report.neurons(row);
      bytesRead += report.bytes(row);
      bytesDense += report.bytesDense(row);
      spared += report.bytesDense(row) - report.bytes(row);
    }
    return spared;
  }

  FeedForwardStatistics statistics(String policy) {
    return new FeedForwardStatistics(policy, computed, neurons, bytesRead, bytesDense);
  }
}
