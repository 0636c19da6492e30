package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Tokens with a role. Ids are −1 where the vocabulary has no such token.
 *
 * @param bos begins a sequence
 * @param eos ends a sequence
 * @param unknown stands for what the vocabulary cannot spell
 * @param addBos whether a sequence is to begin with {@code bos}
 * @param addEos whether a sequence is to end with {@code eos}
 * @param endOfGeneration all tokens after which a model has said what it had to say
 */
record SpecialIds(
    int bos, int eos, int unknown, boolean addBos, boolean addEos, Set<Integer> endOfGeneration) {
  /** No such token. */
  static final int NONE = -1;

  private static final String PREFIX = "tokenizer.ggml.";

  /**
   * Spellings that end a generation in any vocabulary that has them, whether or not the file says
   * so: files often name only one of several. (The list of llama.cpp, August 2026.)
   */
  private static final List<String> END_SPELLINGS =
      List.of(
          "</s>",
          "<eos>",
          "[EOS]",
          "<EOT>",
          "_<EOT>",
          "[EOT]",
          "<|eot_id|>",
          "<|eom_id|>",
          "<|im_end|>",
          "<|end|>",
          "<|return|>",
          "<|call|>",
          "<|calls|>",
          "<|flush|>",
          "<|endoftext|>",
          "<|end_of_text|>",
          "<end_of_turn>",
          "<end_of_utterance>",
          "<turn|>",
          "<|tool_response>",
          "<｜end▁of▁sentence｜>",
          "[e~[",
          // padding, repository name and file separator of fill-in-the-middle formats
          "<|fim_pad|>",
          "<fim-pad>",
          "<fim_pad>",
          "<PAD>",
          "[PAD]",
          "<|fim_repo|>",
          "<|repo_name|>",
          "<fim-repo>",
          "<REPO>",
          "<reponame>",
          "<|file_sep|>");

  /** Further spellings that no user's text may become: the other marks of fill-in-the-middle. */
  private static final List<String> FILL_IN_SPELLINGS =
      List.of(
          "<|fim_prefix|>",
          "<fim-prefix>",
          "<fim_prefix>",
          "<｜fim▁begin｜>",
          "<PRE>",
          "▁<PRE>",
          "<|code_prefix|>",
          "<|prefix|>",
          "<|fim_suffix|>",
          "<fim-suffix>",
          "<fim_suffix>",
          "<｜fim▁hole｜>",
          "<SUF>",
          "▁<SUF>",
          "<|code_suffix|>",
          "<|suffix|>",
          "<|fim_middle|>",
          "<fim-middle>",
          "<fim_middle>",
          "<｜fim▁end｜>",
          "<MID>",
          "▁<MID>",
          "<|code_middle|>",
          "<|middle|>");

  /** Tokens of these spellings are control tokens, whatever type the file gives them. */
  static final List<String> CONTROL_SPELLINGS =
      Stream.concat(END_SPELLINGS.stream(), FILL_IN_SPELLINGS.stream()).toList();

  /**
   * Reads the ids from the metadata; where a key is missing, {@code otherwise} tells.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if an id is outside the vocabulary, or a
   *     token is to be added that the file does not have
   */
  static SpecialIds of(ModelMetadata metadata, Vocabulary vocabulary, SpecialIds otherwise) {
    int bos = id(metadata, vocabulary, "bos_token_id", otherwise.bos);
    int eos = id(metadata, vocabulary, "eos_token_id", otherwise.eos);
    int unknown = id(metadata, vocabulary, "unknown_token_id", otherwise.unknown);
    boolean addBos = flag(metadata, "add_bos_token", otherwise.addBos, "bos_token_id", bos);
    boolean addEos = flag(metadata, "add_eos_token", otherwise.addEos, "eos_token_id", eos);
    return new SpecialIds(bos, eos, unknown, addBos, addEos, ends(metadata, vocabulary, eos));
  }

  private static int id(ModelMetadata metadata, Vocabulary vocabulary, String name, int otherwise) {
    String key = PREFIX + name;
    if (!metadata.has(key)) {
      return otherwise < vocabulary.size() ? otherwise : NONE;
    }
    int id = metadata.integer(key);
    if (id < 0 || id >= vocabulary.size()) {
      throw metadata.fault(key, "the id of one of " + vocabulary.size() + " tokens", id + "");
    }
    return id;
  }

  private static boolean flag(
      ModelMetadata metadata, String name, boolean otherwise, String idName, int id) {
    boolean add = metadata.flag(PREFIX + name, otherwise);
    if (add && id == NONE) {
      throw metadata.fault(
          PREFIX + idName, "the id of the token that is to be added", "no such key");
    }
    return add;
  }

  private static Set<Integer> ends(ModelMetadata metadata, Vocabulary vocabulary, int eos) {
    Set<Integer> ends = new TreeSet<>();
    ends.add(eos);
    for (String name :
        List.of(
            "eot_token_id",
            "eom_token_id",
            "fim_pad_token_id",
            "fim_rep_token_id",
            "fim_sep_token_id")) {
      ends.add(id(metadata, vocabulary, name, NONE));
    }
    for (String spelling : END_SPELLINGS) {
      ends.add(vocabulary.find(spelling));
    }
    ends.remove(NONE);
    // Formats where a message ends with <|end|> and the answer goes on; and one that inherited </s>
    // from another vocabulary.
    boolean harmony = has(vocabulary, "<|return|>") && has(vocabulary, "<|call|>");
    boolean solar = has(vocabulary, "<|calls|>") && has(vocabulary, "<|flush|>");
    if (harmony || solar) {
      ends.remove(vocabulary.find("<|end|>"));
    }
    if (has(vocabulary, "<|tool_response>")) {
      ends.remove(vocabulary.find("</s>"));
    }
    return Set.copyOf(ends);
  }

  private static boolean has(Vocabulary vocabulary, String spelling) {
    return vocabulary.find(spelling) != Vocabulary.NONE;
  }
}
