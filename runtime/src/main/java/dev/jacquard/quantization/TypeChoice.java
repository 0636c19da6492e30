package dev.jacquard.quantization;

import dev.jacquard.tensor.ElementFormat;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a user says about the formats of a file.
 *
 * @param type of the file
 * @param rules formats of tensors by their names; the first that matches counts
 * @param output format of the output matrix, or null for what the type has
 * @param tokenEmbedding format of the token table, or null for what the type has
 */
public record TypeChoice(
    FileType type,
    List<Rule> rules,
    @Nullable ElementFormat output,
    @Nullable ElementFormat tokenEmbedding) {
  /**
   * A format for some tensors.
   *
   * @param pattern found somewhere in the name
   */
  public record Rule(Pattern pattern, ElementFormat format) {}

  /** Copies. */
  public TypeChoice {
    rules = List.copyOf(rules);
  }

  /** A type as llama.cpp mixes it. */
  public static TypeChoice of(FileType type) {
    return new TypeChoice(type, List.of(), null, null);
  }

  /** What the rules say of a tensor. */
  Optional<ElementFormat> ruled(String name) {
    return rules.stream().filter(r -> r.pattern.matcher(name).find()).map(Rule::format).findFirst();
  }
}
