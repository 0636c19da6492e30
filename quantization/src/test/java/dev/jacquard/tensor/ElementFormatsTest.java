package dev.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ElementFormatsTest {
  @Test
  void numbersAndSizesAreThoseOfGgml() {
    var expected =
        List.of(
            "0 F32 1 4",
            "1 F16 1 2",
            "2 Q4_0 32 18",
            "3 Q4_1 32 20",
            "6 Q5_0 32 22",
            "7 Q5_1 32 24",
            "8 Q8_0 32 34",
            "12 Q4_K 256 144",
            "13 Q5_K 256 176",
            "14 Q6_K 256 210",
            "30 BF16 1 2");
    assertEquals(
        expected,
        ElementFormats.all().stream()
            .map(f -> f.ggmlType() + " " + f.name() + " " + f.blockSize() + " " + f.blockBytes())
            .toList());
  }

  @Test
  void everyFormatIsFoundByNumberAndByName() {
    for (ElementFormat format : ElementFormats.all()) {
      assertEquals(Optional.of(format), ElementFormats.byGgmlType(format.ggmlType()));
      assertEquals(
          Optional.of(format), ElementFormats.byName(format.name().toLowerCase(Locale.ROOT)));
    }
    assertTrue(ElementFormats.byGgmlType(4).isEmpty());
    assertTrue(ElementFormats.byName("Q9_9").isEmpty());
  }

  @Test
  void bytesCountsWholeBlocks() {
    ElementFormat q4k = ElementFormats.byName("Q4_K").orElseThrow();
    assertEquals(288, q4k.bytes(512));
    assertEquals(0, q4k.bytes(0));
    var e = assertThrows(IllegalArgumentException.class, () -> q4k.bytes(257));
    assertEquals("257 elements are no whole number of Q4_K blocks of 256", e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> q4k.bytes(-256));
    ElementFormat f32 = ElementFormats.byName("F32").orElseThrow();
    assertThrows(ArithmeticException.class, () -> f32.bytes(Long.MAX_VALUE));
  }
}
