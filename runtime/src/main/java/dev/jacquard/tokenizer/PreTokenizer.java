package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;
import java.util.Map;
import java.util.TreeMap;

/**
 * Cuts a text into the words within which byte-level BPE merges. Scanners written by hand instead
 * of regular expressions: linear in the length, whatever the text.
 */
enum PreTokenizer {
  /**
   * GPT-2's pattern, {@code 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
   * ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+}.
   */
  GPT_2 {
    @Override
    void split(String text, int from, int to, Words words) {
      for (int start = from; start < to; ) {
        int end = wordEnd(text, start, to);
        words.accept(start, end);
        start = end;
      }
    }
  },

  /**
   * llama.cpp's pattern for files that do not name theirs. Four passes, each within the parts of
   * the one before: {@code [\p{P}$+<=>^~|]+}, GPT-2's pattern, {@code \p{N}+}, {@code [0-9]{3}}.
   */
  DEFAULT {
    @Override
    void split(String text, int from, int to, Words words) {
      for (int start = from; start < to; ) {
        boolean punctuation = isPunctuation(text.codePointAt(start));
        int end = start;
        while (end < to && isPunctuation(text.codePointAt(end)) == punctuation) {
          end += Character.charCount(text.codePointAt(end));
        }
        GPT_2.split(text, start, end, (a, b) -> splitNumbers(text, a, b, words));
        start = end;
      }
    }
  };

  private static final String KEY = "tokenizer.ggml.pre";

  /** Names that files give; those of one line share a pattern. */
  private static final Map<String, PreTokenizer> BY_NAME =
      new TreeMap<>(
          Map.of(
              "gpt-2",
              GPT_2,
              "phi-2",
              GPT_2,
              "mpt",
              GPT_2,
              "olmo",
              GPT_2,
              "jais",
              GPT_2,
              "trillion",
              GPT_2,
              "mellum",
              GPT_2,
              "gigachat",
              GPT_2,
              "default",
              DEFAULT));

  private static final System.Logger LOG = System.getLogger(PreTokenizer.class.getName());

  /** Takes the words of a text, one after the other, without gaps. */
  @FunctionalInterface
  interface Words {
    /** The next word is the text from {@code start} to before {@code end}. */
    void accept(int start, int end);
  }

  private enum Category {
    LETTER,
    NUMBER,
    SPACE,
    OTHER
  }

  /**
   * The one that the file names.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if it names one that is not known here:
   *     another one would give wrong ids without a word
   */
  static PreTokenizer of(ModelMetadata metadata) {
    if (!metadata.has(KEY)) {
      LOG.log(
          System.Logger.Level.WARNING,
          "the file does not name its pre-tokenizer ({0}); \"default\" is used, ids may differ from"
              + " those of the training",
          KEY);
      return DEFAULT;
    }
    PreTokenizer found = BY_NAME.get(metadata.string(KEY));
    if (found == null) {
      throw metadata.fault(
          KEY,
          "one of the pre-tokenizers known here (" + String.join(", ", BY_NAME.keySet()) + ")",
          "\"" + metadata.string(KEY) + "\"");
    }
    return found;
  }

  /** Cuts the part of the text into words. It must hold whole characters. */
  abstract void split(String text, int from, int to, Words words);

  /** End of the word of GPT-2's pattern that begins at {@code start}. */
  private static int wordEnd(String text, int start, int to) {
    int contraction = contraction(text, start, to);
    if (contraction > 0) {
      return start + contraction;
    }
    boolean space = text.charAt(start) == ' ' && start + 1 < to;
    int body = space ? start + 1 : start;
    Category category = category(text.codePointAt(body));
    if (category == Category.SPACE) {
      // All white space is of one UTF-16 unit. The last one is left to the word that follows.
      int end = runEnd(text, start, to, Category.SPACE);
      return end < to && end - start > 1 ? end - 1 : end;
    }
    return runEnd(text, body, to, category);
  }

  private static int runEnd(String text, int from, int to, Category category) {
    int end = from;
    while (end < to) {
      int character = text.codePointAt(end);
      if (category(character) != category) {
        break;
      }
      end += Character.charCount(character);
    }
    return end;
  }

  /** Length of 's, 't, 're, 've, 'm, 'll or 'd here, or 0. */
  private static int contraction(String text, int at, int to) {
    if (text.charAt(at) != '\'' || at + 1 >= to) {
      return 0;
    }
    char first = text.charAt(at + 1);
    char second = at + 2 < to ? text.charAt(at + 2) : 0;
    return switch (first) {
      case 's', 't', 'm', 'd' -> 2;
      case 'r', 'v' -> second == 'e' ? 3 : 0;
      case 'l' -> second == 'l' ? 3 : 0;
      default -> 0;
    };
  }

  /** Runs of numbers for themselves, and of those each three ASCII digits. */
  private static void splitNumbers(String text, int from, int to, Words words) {
    int start = from;
    while (start < to) {
      boolean number = category(text.codePointAt(start)) == Category.NUMBER;
      int end = start;
      while (end < to && (category(text.codePointAt(end)) == Category.NUMBER) == number) {
        end += Character.charCount(text.codePointAt(end));
      }
      if (number) {
        splitThousands(text, start, end, words);
      } else {
        words.accept(start, end);
      }
      start = end;
    }
  }

  private static void splitThousands(String text, int from, int to, Words words) {
    int start = from;
    int digits = 0;
    for (int i = from; i < to; i++) {
      char unit = text.charAt(i);
      digits = unit >= '0' && unit <= '9' ? digits + 1 : 0;
      if (digits == 3) {
        if (start < i - 2) {
          words.accept(start, i - 2);
        }
        words.accept(i - 2, i + 1);
        start = i + 1;
        digits = 0;
      }
    }
    if (start < to) {
      words.accept(start, to);
    }
  }

  private static Category category(int character) {
    if (character < 128) {
      return ASCII[character];
    }
    return switch (Character.getType(character)) {
      case Character.UPPERCASE_LETTER,
          Character.LOWERCASE_LETTER,
          Character.TITLECASE_LETTER,
          Character.MODIFIER_LETTER,
          Character.OTHER_LETTER ->
          Category.LETTER;
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
          Category.NUMBER;
      case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
          Category.SPACE;
      default -> character == 0x85 ? Category.SPACE : Category.OTHER;
    };
  }

  private static final Category[] ASCII = new Category[128];

  static {
    for (char c = 0; c < 128; c++) {
      ASCII[c] =
          Character.isLetter(c)
              ? Category.LETTER
              : Character.isDigit(c)
                  ? Category.NUMBER
                  : c == ' ' || (c >= '\t' && c <= '\r') ? Category.SPACE : Category.OTHER;
    }
  }

  private static boolean isPunctuation(int character) {
    return switch (Character.getType(character)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> character < 128 && "$+<=>^~|".indexOf(character) >= 0;
    };
  }
}
