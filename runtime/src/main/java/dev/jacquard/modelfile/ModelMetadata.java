package dev.jacquard.modelfile;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The key/value pairs of a model file, typed. Values are {@link Long} (every integer type), {@link
 * java.math.BigInteger} (only for unsigned ones that no {@code long} holds), {@link Double} (every
 * float type), {@link Boolean}, {@link String}, or arrays: {@code int[]} (of every integer type, if
 * all elements fit), {@code long[]} (if not; unsigned 64 bits as they are), {@code float[]}, {@code
 * double[]}, {@code boolean[]}, {@code String[]}, {@code Object[]} (nested arrays). Immutable; the
 * caller must not change arrays.
 */
public final class ModelMetadata {
  private static final int SHOWN = 80;

  private final Path file;
  private final Map<String, Object> values;

  /** Takes the pairs in file order; {@code file} is named in errors. */
  public ModelMetadata(Path file, Map<String, Object> values) {
    this.file = file;
    this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
  }

  /** All keys, in file order. */
  public Set<String> keys() {
    return values.keySet();
  }

  /** Whether the key is there. */
  public boolean has(String key) {
    return values.containsKey(key);
  }

  /** The raw value. */
  public Optional<Object> get(String key) {
    return Optional.ofNullable(values.get(key));
  }

  /** The architecture's name, as {@code llama}. */
  public String architecture() {
    return string("general.architecture");
  }

  /**
   * A string that must be there.
   *
   * @throws ModelFormatException if it is missing or something else
   */
  public String string(String key) {
    return require(key, String.class, "a string");
  }

  /** A string, or the default if the key is missing. */
  public String string(String key, String otherwise) {
    return has(key) ? string(key) : otherwise;
  }

  /** An integer that must be there and fit an {@code int}. */
  public int integer(String key) {
    long value = require(key, Long.class, "an integer");
    if (value != (int) value) {
      throw fault(key, "an integer of 32 bits", String.valueOf(value));
    }
    return (int) value;
  }

  /** An integer, or the default if the key is missing. */
  public int integer(String key, int otherwise) {
    return has(key) ? integer(key) : otherwise;
  }

  /** A number (integers are widened) that must be there. */
  public double number(String key) {
    return require(key, Number.class, "a number").doubleValue();
  }

  /** A number, or the default if the key is missing. */
  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /** A flag, or the default if the key is missing. */
  public boolean flag(String key, boolean otherwise) {
    return has(key) ? require(key, Boolean.class, "a boolean") : otherwise;
  }

  /** A list of strings that must be there. */
  public List<String> strings(String key) {
    return List.of(require(key, String[].class, "an array of strings"));
  }

  /** A list of 32-bit floats that must be there; the caller must not change it. */
  public float[] floats(String key) {
    return require(key, float[].class, "an array of 32-bit floats");
  }

  /**
   * A list of integers that must be there and fit 32 bits, however wide they are in the file; the
   * caller must not change it.
   */
  public int[] integers(String key) {
    return require(key, int[].class, "an array of integers of 32 bits");
  }

  /** The exception for a value that is not what it should be. */
  public ModelFormatException fault(String key, String expected, String found) {
    return new ModelFormatException(file, -1, "metadata " + key + " to be " + expected, found);
  }

  private <T> T require(String key, Class<T> type, String expected) {
    Object value = values.get(key);
    if (!type.isInstance(value)) {
      throw fault(key, expected, value == null ? "no such key" : describe(value));
    }
    return type.cast(value);
  }

  /** A value for a message: short, and without what a terminal would obey. */
  private static String describe(Object value) {
    if (value.getClass().isArray()) {
      return "an array (" + value.getClass().getComponentType().getSimpleName() + ")";
    }
    String text = value.toString();
    String start = text.substring(0, Math.min(SHOWN, text.length()));
    return value.getClass().getSimpleName()
        + " "
        + start.replaceAll("\\p{Cntrl}", " ")
        + (text.length() > SHOWN ? " …" : "");
  }
}
