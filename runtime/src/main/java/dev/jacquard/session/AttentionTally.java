package dev.jacquard.session;

import dev.jacquard.kernels.AttentionReport;

/** Adds up what attention read for several rows. */
final class AttentionTally {
  private int tokens;
  private long bytesRead;
  private long bytesDense;
  private long fine;
  private long coarse;
  private long far;
  private long cases;
  private long escalated;
  private double boundSum;
  private double boundWorst;

  /** Adds the rows that a job has in the step that has just run; returns bytes it spared. */
  long add(Job job, StepLogits step) {
    long spared = 0;
    for (int i = 0; i < job.rows(); i++) {
      AttentionReport.Row row = step.attention(job.firstRow() + i);
      tokens++;
      bytesRead += row.bytesRead();
      bytesDense += row.bytesDense();
      fine += row.fine();
      coarse += row.coarse();
      far += row.far();
      cases += row.cases();
      escalated += row.escalated();
      boundSum += row.boundSum();
      boundWorst = Math.max(boundWorst, row.boundWorst());
      spared += row.bytesDense() - row.bytesRead();
    }
    return spared;
  }

  AttentionStatistics.Reading reading() {
    return new AttentionStatistics.Reading(
        tokens,
        bytesRead,
        bytesDense,
        fine,
        coarse,
        far,
        cases,
        boundWorst,
        cases == 0 ? 0 : boundSum / cases,
        escalated);
  }
}
