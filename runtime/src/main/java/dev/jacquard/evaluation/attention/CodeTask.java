package dev.jacquard.evaluation.attention;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Questions whose answers stand somewhere in a long text: the tasks of RULER (Hsieh et al. 2024,
 * arXiv 2404.06654) in the clothes of code. Each is generated from a seed; the same seed gives the
 * same question.
 */
public enum CodeTask {
  /** One constant among sources. */
  NEEDLE,
  /** One of eight constants. */
  MULTI_KEY,
  /** All four values of one list. */
  MULTI_VALUE,
  /** Constants whose names differ in the last digit. */
  DISTRACTORS,
  /** {@code a = 48213; b = a; c = b;}: what is c? */
  CHAIN,
  /** A field that is assigned four times: its latest value. */
  LAST_ASSIGNMENT,
  /** The word that is logged most often, of four: what choosing few tokens fails at. */
  FREQUENT_IDENTIFIER,
  /** The package of a class that is imported at the very top. */
  IMPORT;

  private static final List<String> WORDS =
      List.of(
          "order", "invoice", "parcel", "ticket", "ledger", "signal", "vector", "packet", "branch",
          "region", "window", "socket", "folder", "member", "record", "device");
  private static final List<String> SECOND =
      List.of("Limit", "Count", "Offset", "Weight", "Margin", "Budget", "Stride", "Quota");

  /** A text to be put at {@code depth}, from 0 to 1, of the sources. */
  public record Insertion(double depth, String text) {}

  /**
   * A question.
   *
   * @param insertions by ascending depth
   * @param question what the prompt ends with; the answer follows directly
   * @param answer the right one
   * @param wrong other answers of the same kind, each with another first character
   */
  public record Question(
      List<Insertion> insertions, String question, String answer, List<String> wrong) {
    /** Copies. */
    public Question {
      insertions = List.copyOf(insertions);
      wrong = List.copyOf(wrong);
    }

    /** Accuracy of a blind choice among the answers. */
    public double chance() {
      return 1.0 / (1 + wrong.size());
    }
  }

  /** Its name in results, as {@code last-assignment}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** The task of a name, in any case. */
  public static Optional<CodeTask> named(String name) {
    return Arrays.stream(values())
        .filter(task -> task.label().equalsIgnoreCase(name.strip()))
        .findFirst();
  }

  /** The names of all tasks, with commas. */
  public static String names() {
    return Arrays.stream(values()).map(CodeTask::label).collect(Collectors.joining(", "));
  }

  /**
   * A question of this kind.
   *
   * @param depth from 0 to 1: where the answer stands; tasks with several insertions spread the
   *     others over the text
   */
  public Question question(double depth, long seed) {
    Random random = new Random(seed * 8191 + label().hashCode());
    return switch (this) {
      case NEEDLE -> needle(depth, random);
      case MULTI_KEY -> multiKey(depth, random);
      case MULTI_VALUE -> multiValue(depth, random);
      case DISTRACTORS -> distractors(depth, random);
      case CHAIN -> chain(depth, random);
      case LAST_ASSIGNMENT -> lastAssignment(depth, random);
      case FREQUENT_IDENTIFIER -> frequentIdentifier(random);
      case IMPORT -> importedClass(random);
    };
  }

  private static Question needle(double depth, Random random) {
    List<String> values = values(4, random);
    String constant = "    private static final int " + names(1, random).getFirst() + " = ";
    return new Question(
        List.of(new Insertion(depth, constant + values.getFirst() + ";\n")),
        constant,
        values.getFirst() + ";",
        values.subList(1, 4));
  }

  private static Question multiKey(double depth, Random random) {
    List<String> values = values(8, random);
    List<String> names = names(8, random);
    List<Insertion> insertions = new ArrayList<>();
    for (int i = 1; i < 8; i++) {
      insertions.add(constant(random.nextDouble(), names.get(i), values.get(i)));
    }
    insertions.add(constant(depth, names.getFirst(), values.getFirst()));
    return new Question(
        sorted(insertions),
        "    private static final int " + names.getFirst() + " = ",
        values.getFirst() + ";",
        values.subList(1, 8));
  }

  private static Question multiValue(double depth, Random random) {
    List<String> values = values(8, random);
    String name = names(1, random).getFirst();
    String list = "    private static final int[] " + name + "s = {";
    return new Question(
        List.of(new Insertion(depth, list + String.join(", ", values.subList(0, 4)) + "};\n")),
        list,
        String.join(", ", values.subList(0, 4)) + "}",
        values.subList(4, 8));
  }

  private static Question distractors(double depth, Random random) {
    List<String> values = values(8, random);
    String name = names(1, random).getFirst();
    List<Insertion> insertions = new ArrayList<>();
    for (int i = 1; i < 8; i++) {
      insertions.add(constant(random.nextDouble(), name + i, values.get(i)));
    }
    insertions.add(constant(depth, name + 8, values.getFirst()));
    return new Question(
        sorted(insertions),
        "    private static final int " + name + "8 = ",
        values.getFirst() + ";",
        values.subList(1, 8));
  }

  private static Question chain(double depth, Random random) {
    List<String> values = values(4, random);
    List<String> names = names(6, random);
    List<Insertion> insertions =
        List.of(
            constant(depth * 0.5, names.get(0), values.getFirst()),
            constant(depth * 0.75, names.get(1), names.get(0)),
            constant(depth, names.get(2), names.get(1)),
            constant(depth * 0.4, names.get(3), values.get(1)),
            constant(depth * 0.8, names.get(4), values.get(2)),
            constant(depth * 0.9, names.get(5), values.get(3)));
    return new Question(
        sorted(insertions),
        "    // the value of " + names.get(2) + " is ",
        values.getFirst(),
        values.subList(1, 4));
  }

  private static Question lastAssignment(double depth, Random random) {
    List<String> values = values(4, random);
    String set = "        this." + names(1, random).getFirst() + " = ";
    List<Insertion> insertions = new ArrayList<>();
    for (int i = 1; i < 4; i++) {
      insertions.add(
          new Insertion(depth * i / 4, set + values.get(i) + "; // was changed again\n"));
    }
    insertions.add(new Insertion(depth, set + values.getFirst() + "; // the latest value\n"));
    return new Question(
        insertions,
        "        // the latest value\n" + set,
        values.getFirst() + ";",
        values.subList(1, 4));
  }

  private static Question frequentIdentifier(Random random) {
    List<String> names = distinctFirst(4, random);
    List<Insertion> insertions = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      for (int k = 0; k < (i == 0 ? 24 : 6); k++) {
        insertions.add(
            new Insertion(random.nextDouble(), "        log.event(\"" + names.get(i) + "\");\n"));
      }
    }
    return new Question(
        sorted(insertions),
        "        // the event that is logged most often\n        log.event(\"",
        names.getFirst() + "\"",
        names.subList(1, 4));
  }

  private static Question importedClass(Random random) {
    List<String> packages = distinctFirst(4, random);
    List<String> classes = names(4, random);
    StringBuilder imports = new StringBuilder();
    for (int i : shuffled(4, random)) {
      imports.append("import org.acme.%s.%sParser;\n".formatted(packages.get(i), classes.get(i)));
    }
    return new Question(
        List.of(new Insertion(0, imports.toString())),
        "// %sParser is imported: import org.acme.".formatted(classes.getFirst()),
        packages.getFirst() + "." + classes.getFirst(),
        packages.subList(1, 4));
  }

  private static Insertion constant(double depth, String name, String value) {
    return new Insertion(depth, "    private static final int " + name + " = " + value + ";\n");
  }

  private static List<Insertion> sorted(List<Insertion> insertions) {
    return insertions.stream().sorted((a, b) -> Double.compare(a.depth(), b.depth())).toList();
  }

  /** Numbers of five digits, each with another first digit; at most nine. */
  private static List<String> values(int count, Random random) {
    List<String> values = new ArrayList<>();
    for (int digit : shuffled(9, random).subList(0, count)) {
      values.add((digit + 1) + "%04d".formatted(random.nextInt(10_000)));
    }
    return values;
  }

  private static List<String> names(int count, Random random) {
    Set<String> names = new LinkedHashSet<>();
    while (names.size() < count) {
      names.add(
          WORDS.get(random.nextInt(WORDS.size())) + SECOND.get(random.nextInt(SECOND.size())));
    }
    return List.copyOf(names);
  }

  /** Words of which no two begin with the same letter. */
  private static List<String> distinctFirst(int count, Random random) {
    List<String> words = new ArrayList<>();
    for (int i : shuffled(WORDS.size(), random)) {
      char first = WORDS.get(i).charAt(0);
      if (words.size() < count && words.stream().noneMatch(w -> w.charAt(0) == first)) {
        words.add(WORDS.get(i));
      }
    }
    return words;
  }

  private static List<Integer> shuffled(int count, Random random) {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      order.add(i);
    }
    Collections.shuffle(order, random);
    return order;
  }
}
