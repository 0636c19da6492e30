package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Field;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import jdk.incubator.vector.VectorSpecies;
import org.junit.jupiter.api.Test;

/**
 * A second width of floats, ints or doubles anywhere in this package makes the compiler inline each
 * operation of every other kernel twice, until it gives up and allocates vectors: {@link Lanes}.
 */
final class OneShapeTest {
  private static final List<Class<?>> ONE_SHAPE = List.of(float.class, int.class, double.class);

  @Test
  void floatsIntsAndDoublesHaveOneWidth() throws Exception {
    Map<String, Set<String>> shapes = new TreeMap<>();
    int classes = 0;
    for (String name : classNames()) {
      Class<?> type = Class.forName(name);
      classes++;
      for (Field field : type.getDeclaredFields()) {
        if (VectorSpecies.class.isAssignableFrom(field.getType())) {
          field.setAccessible(true);
          VectorSpecies<?> species = (VectorSpecies<?>) field.get(null);
          if (ONE_SHAPE.contains(species.elementType())) {
            shapes
                .computeIfAbsent(species.elementType().getName(), e -> new TreeSet<>())
                .add(species.vectorShape() + " in " + type.getSimpleName());
          }
        }
      }
    }
    assertTrue(classes > 50, classes + " classes found");
    Set<String> own = Set.of(Lanes.FLOAT.vectorShape() + " in Lanes");
    assertEquals(Map.of("float", own, "int", own, "double", own), shapes);
  }

  /** Constants of the JDK, which no field would show. */
  @Test
  void noKernelNamesAWidth() throws IOException {
    Path sources = Path.of("src/main/java/dev/jacquard/kernels/vector");
    try (Stream<Path> files = Files.list(sources)) {
      for (Path file : files.toList()) {
        assertEquals(
            List.of(),
            Files.readAllLines(file).stream()
                .filter(l -> l.matches(".*(Float|Int|Double)Vector\\.SPECIES_\\d.*"))
                .toList(),
            file.toString());
      }
    }
  }

  private static List<String> classNames() throws IOException, URISyntaxException {
    Path root = Path.of(Lanes.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Path folder = root.resolve("dev/jacquard/kernels/vector");
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(f -> f.endsWith(".class"))
          .map(f -> "dev.jacquard.kernels.vector." + f.substring(0, f.length() - 6))
          .sorted()
          .toList();
    }
  }
}
