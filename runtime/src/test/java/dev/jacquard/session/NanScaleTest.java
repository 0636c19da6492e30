package dev.jacquard.session;

import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.ids;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.sampling.NonFiniteLogitsException;
import dev.jacquard.session.TestModels.Output;
import dev.jacquard.testing.NanScale;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A weight that is no number reaches nobody as text. */
final class NanScaleTest {
  @ParameterizedTest
  @ValueSource(strings = {"reference", "vector"})
  void endsGenerationAndEvaluationWithAnError(String backend, @TempDir Path folder)
      throws IOException {
    ModelOptions options = TestModels.OPTIONS.withBackend(backend);
    try (Model model = Jacquard.open(NanScale.write(folder), options);
        Session session = model.newSession()) {
      Output output = read(session.generate(greedy(5, ids("llama", 10))));
      assertEquals(FinishReason.ERROR, output.reason());
      assertInstanceOf(NonFiniteLogitsException.class, output.end().error());
      assertEquals("", output.text());
      session.rewind(0);
      JacquardException failed =
          assertThrows(
              JacquardException.class,
              () -> session.evaluate(ids("llama", 10), 1, (position, logits) -> {}));
      assertInstanceOf(NonFiniteLogitsException.class, failed.getCause());
    }
  }
}
