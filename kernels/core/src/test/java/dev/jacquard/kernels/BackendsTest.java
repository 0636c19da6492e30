package dev.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.reference.ReferenceBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;

class BackendsTest {
  private static final BackendOptions OPTIONS = new BackendOptions(1);

  private record Fake(String name, int priority, Optional<String> refusal)
      implements BackendProvider {
    @Override
    public Backend open(BackendOptions options) {
      if (refusal.isPresent()) {
        throw new AssertionError("opened although it refused");
      }
      return new ReferenceBackend(options);
    }
  }

  private static final Fake BROKEN = new Fake("broken", 9, Optional.of("no device; install one"));
  private static final Fake PLAIN = new Fake("plain", 1, Optional.empty());

  @Test
  void theReferenceBackendIsThereByName() {
    try (Backend backend = Backends.open("reference", OPTIONS)) {
      assertEquals("reference", backend.name());
    }
  }

  @Test
  void providersAreSortedByPreference() {
    List<Integer> priorities =
        Backends.providers().stream().map(BackendProvider::priority).toList();
    assertEquals(priorities.stream().sorted((a, b) -> b - a).toList(), priorities);
  }

  @Test
  void autoTakesTheBestThatDoesNotRefuseAndLogsThoseThatDo() {
    List<String> lines = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord line) {
            lines.add(line.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("dev.jacquard.kernels");
    logger.addHandler(handler);
    try (Backend backend = Backends.open("auto", OPTIONS, List.of(BROKEN, PLAIN))) {
      assertEquals("reference", backend.name());
      assertEquals(1, lines.size());
      assertTrue(
          lines.getFirst().contains("broken") && lines.getFirst().contains("install one"),
          lines.getFirst());
    } finally {
      logger.removeHandler(handler);
    }
  }

  @Test
  void aNamedBackendThatRefusesIsAnErrorWithItsReason() {
    assertTrue(fault("broken", List.of(BROKEN, PLAIN)).contains("no device; install one"));
    assertTrue(fault("auto", List.of(BROKEN)).contains("broken"));
  }

  @Test
  void anUnknownNameListsWhatThereIs() {
    String message = fault("gpu", List.of(BROKEN, PLAIN));
    for (String part : List.of("gpu", "auto", "broken", "plain")) {
      assertTrue(message.contains(part), message);
    }
  }

  private static String fault(String name, List<BackendProvider> providers) {
    return String.valueOf(
        assertThrows(BackendException.class, () -> Backends.open(name, OPTIONS, providers))
            .getMessage());
  }
}
