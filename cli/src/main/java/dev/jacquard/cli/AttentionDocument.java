package dev.jacquard.cli;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jacquard.session.AttentionStatistics;
import dev.jacquard.session.AttentionStatistics.Reading;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What attention read, in the JSON document: of decoded tokens, and of the prompt.
 *
 * @param shareOfDense null if there was nothing to read
 * @param certificateWorst null if no case gave a bound
 */
record AttentionDocument(
    @JsonProperty("class") String policy,
    int tokens,
    long bytesRead,
    @Nullable Double shareOfDense,
    long fine,
    long coarse,
    long far,
    @Nullable Double certificateWorst,
    @Nullable Double certificateMean,
    long cases,
    long escalated,
    int redone,
    Prompt prefill) {
  /** The same of the prompt. */
  record Prompt(int tokens, long bytesRead, @Nullable Double shareOfDense) {}

  static AttentionDocument of(AttentionStatistics attention) {
    Reading decode = attention.decode();
    Reading prefill = attention.prefill();
    boolean bounded = decode.cases() > 0;
    return new AttentionDocument(
        attention.policy(),
        decode.tokens(),
        decode.bytesRead(),
        share(decode),
        decode.fine(),
        decode.coarse(),
        decode.far(),
        bounded ? decode.certificateWorst() : null,
        bounded ? decode.certificateMean() : null,
        decode.cases(),
        decode.escalated(),
        attention.redone(),
        new Prompt(prefill.tokens(), prefill.bytesRead(), share(prefill)));
  }

  private static @Nullable Double share(Reading reading) {
    return reading.bytesDense() == 0 ? null : reading.share();
  }

  /** A few lines for people. */
  String text() {
    StringBuilder text = new StringBuilder();
    text.append(
        "attention %s: %s/token in %d steps, %s of dense; tokens in 8 bits %s, 4 bits %s, means %s"
            .formatted(
                policy,
                Format.bytes(tokens == 0 ? 0 : bytesRead / tokens),
                tokens,
                percent(shareOfDense),
                part(fine),
                part(coarse),
                part(far)));
    if (certificateWorst != null && certificateMean != null) {
      text.append(
          String.format(
              Locale.ROOT,
              "%n  certificate: worst %s, mean %s of the values' diameter in %d cases; %d escalated",
              Format.significant(certificateWorst),
              Format.significant(certificateMean),
              cases,
              escalated));
    }
    if (redone > 0) {
      text.append("%n  %d steps done again one class stricter".formatted(redone));
    }
    text.append(
        "%n  prompt: %s in %d tokens, %s of dense"
            .formatted(
                Format.bytes(prefill.bytesRead()),
                prefill.tokens(),
                percent(prefill.shareOfDense())));
    return text.toString();
  }

  private String part(long count) {
    long all = fine + coarse + far;
    return percent(all == 0 ? null : (double) count / all);
  }

  private static String percent(@Nullable Double share) {
    return share == null ? "nothing" : Format.decimals(100 * share, 1) + " %";
  }
}
