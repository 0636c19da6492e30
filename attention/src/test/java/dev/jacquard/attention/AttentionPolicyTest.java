package dev.jacquard.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Exactness;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AttentionPolicyTest {
  private static AttentionPolicy parse(String text) {
    return AttentionPolicy.parse(text, 100);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          dense | dense
          certified | certified:0.01
          certified:0.001 | certified:0.001
          verified | verified:0.05,0.05
          verified:0.02 | verified:0.02,0.05
          verified:0.02,1e-3 | verified:0.02,0.001
          budgeted | budgeted:0.8,0.95
          budgeted:0.90 | budgeted:0.9,0.95
          budgeted:0.9,1 | budgeted:0.9,1
          """)
  void aPolicyPrintsWhatItIs(String text, String printed) {
    assertEquals(printed, parse(text).toString());
    assertEquals(parse(text), parse(printed));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          exact           | there is no class 'exact'
          ''              | there is no class ''
          Dense           | there is no class 'Dense'
          dense:1         | at most 0 numbers
          certified:2     | epsilon must be above 0 and below 1, not 2.0
          certified:0     | epsilon must be above 0
          certified:NaN   | not NaN
          certified:      | '' is no number
          certified:0.1,1 | at most 1 numbers
          verified:0.1,2  | delta must be
          verified:1,1,1  | at most 2 numbers
          budgeted:x      | 'x' is no number
          budgeted:1      | coverage must be
          budgeted:0.9,2  | coverage of prompts must be
          """)
  void whatIsNoPolicyIsExplained(String text, String expected) {
    String message =
        String.valueOf(
            assertThrows(IllegalArgumentException.class, () -> parse(text)).getMessage());
    assertTrue(message.contains(expected), message);
    assertTrue(message.contains("'" + text + "'"), message);
    assertTrue(message.contains("budgeted[:coverage"), message);
  }

  @Test
  void shortSequencesAreDenseUnlessTheClassIsCertified() {
    assertEquals(Exactness.DENSE, parse("budgeted").exactness(99));
    assertEquals(new Exactness.Budgeted(0.8, 0.95), parse("budgeted").exactness(100));
    assertEquals(Exactness.DENSE, parse("verified").exactness(99));
    assertEquals(new Exactness.Verified(0.05, 0.05, 0.8, 0), parse("verified").exactness(100));
    assertEquals(new Exactness.Certified(0.01), parse("certified").exactness(1));
    assertThrows(IllegalArgumentException.class, () -> AttentionPolicy.parse("dense", -1));
  }

  @Test
  void eachClassHasAStricterOne() {
    AttentionPolicy verified = parse("budgeted:0.7").stricter();
    assertEquals(new Exactness.Verified(0.05, 0.05, 0.7, 0), verified.exactness(100));
    assertEquals(Exactness.DENSE, verified.exactness(99));
    assertEquals(parse("certified:0.05"), verified.stricter());
    assertEquals(Exactness.DENSE, verified.stricter().stricter().exactness(100));
    assertEquals(AttentionPolicy.DENSE, AttentionPolicy.DENSE.stricter());
    AttentionPolicy own = length -> new Exactness.Certified(0.5);
    assertEquals(AttentionPolicy.DENSE, own.stricter());
  }
}
