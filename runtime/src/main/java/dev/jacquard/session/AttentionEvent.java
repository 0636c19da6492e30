package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Java Flight Recorder: what attention read for the rows that a job had in one step. */
@Name(AttentionEvent.NAME)
@Label("Attention")
@Category("Jacquard")
@Description("What attention read for the rows of one session in one step")
@StackTrace(false)
final class AttentionEvent extends Event {
  static final String NAME = "jacquard.Attention";

  @Label("Class of Exactness")
  String exactness = "";

  @Label("Position")
  @Description("Position of the first row in its session")
  int position;

  @Label("Rows")
  int rows;

  @Label("Bytes Read")
  @DataAmount
  long bytesRead;

  @Label("Bytes Dense")
  @Description("Bytes that reading everything would have taken")
  @DataAmount
  long bytesDense;

  @Label("Fine")
  @Description("Tokens read in 8 bits, over layers and key/value heads")
  long fine;

  @Label("Coarse")
  @Description("Tokens whose value was read in 4 bits")
  long coarse;

  @Label("Far")
  @Description("Tokens that entered as the mean of their page")
  long far;

  @Label("Cases")
  @Description("Query heads and layers that gave a bound of their error")
  long cases;

  @Label("Worst Certificate")
  @Description("Largest bound, as a share of the diameter of the values")
  double certificateWorst;

  @Label("Mean Certificate")
  double certificateMean;

  @Label("Escalated")
  @Description("Cases that read everything because their audit failed")
  long escalated;

  private AttentionEvent() {}

  /** Records what a job's rows read in the step that has just run, if somebody records. */
  static void record(Job job, StepLogits step) {
    AttentionEvent event = new AttentionEvent();
    if (event.shouldCommit()) {
      event.fill(job, step);
      event.commit();
    }
  }

  private void fill(Job job, StepLogits step) {
    int length = job.sequence().cached();
    exactness = AttentionPolicy.of(job.policy().exactness(length), 0).toString();
    position = length - job.rows();
    rows = job.rows();
    AttentionTally tally = new AttentionTally();
    tally.add(job, step);
    AttentionStatistics.Reading reading = tally.reading();
    bytesRead = reading.bytesRead();
    bytesDense = reading.bytesDense();
    fine = reading.fine();
    coarse = reading.coarse();
    far = reading.far();
    cases = reading.cases();
    certificateWorst = reading.certificateWorst();
    certificateMean = reading.certificateMean();
    escalated = reading.escalated();
  }
}
