package dev.jacquard.session;

/**
 * What the output head of a generation's decoded tokens computed.
 *
 * @param headClass the class of its steps
 * @param reason why they were DENSE without being asked to; else empty
 * @param rows output rows; those of steps that were done again count each time
 * @param vocabulary logits of a row
 * @param candidatesMean logits computed for a row, mean
 * @param candidatesP95 of 95 % of the rows no more were computed
 * @param dense rows of which all logits were computed
 * @param undecided rows of these for which candidates were not enough to choose a token
 * @param bytesRead bytes of the matrix that were read
 * @param bytesDense bytes that DENSE would have read
 */
public record HeadStatistics(
    HeadClass headClass,
    String reason,
    int rows,
    int vocabulary,
    double candidatesMean,
    int candidatesP95,
    int dense,
    int undecided,
    long bytesRead,
    long bytesDense) {
  /** {@code bytesRead} as a share of {@code bytesDense}; 1 if there was nothing to read. */
  public double share() {
    return bytesDense == 0 ? 1 : (double) bytesRead / bytesDense;
  }
}
