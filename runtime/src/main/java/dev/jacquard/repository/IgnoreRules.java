package dev.jacquard.repository;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * The rules of one ignore file, as git's manual page {@code gitignore(5)} describes them, and those
 * of the files that it overrules.
 */
final class IgnoreRules {
  /** No rules. */
  static final IgnoreRules NONE = new IgnoreRules("", List.of(), null);

  private record Rule(Pattern pattern, boolean wholePath, boolean foldersOnly, boolean ignores) {}

  private final String folder;
  private final List<Rule> rules;
  private final @Nullable IgnoreRules overruled;

  private IgnoreRules(String folder, List<Rule> rules, @Nullable IgnoreRules overruled) {
    this.folder = folder;
    this.rules = rules;
    this.overruled = overruled;
  }

  /**
   * These rules, overruled by those of {@code file}, if there is such a file.
   *
   * @param folder whose paths they are about: empty, or ending with {@code /}
   */
  IgnoreRules and(Path file, String folder) throws IOException {
    return Files.isRegularFile(file)
        ? and(new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList(), folder)
        : this;
  }

  /** The same for lines of such a file. */
  IgnoreRules and(List<String> lines, String folder) {
    List<Rule> parsed = new ArrayList<>();
    for (String line : lines) {
      Rule rule = parse(line);
      if (rule != null) {
        parsed.add(rule);
      }
    }
    return parsed.isEmpty() ? this : new IgnoreRules(folder, parsed, this);
  }

  /** Whether the last rule that speaks of a path ignores it; its parents are not looked at. */
  boolean ignores(String path, boolean isFolder) {
    for (IgnoreRules level = this; level != null; level = level.overruled) {
      String inFolder = path.substring(level.folder.length());
      String name = inFolder.substring(inFolder.lastIndexOf('/') + 1);
      for (int i = level.rules.size() - 1; i >= 0; i--) {
        Rule rule = level.rules.get(i);
        if ((isFolder || !rule.foldersOnly)
            && rule.pattern.matcher(rule.wholePath ? inFolder : name).matches()) {
          return rule.ignores;
        }
      }
    }
    return false;
  }

  private static @Nullable Rule parse(String line) {
    String glob = withoutTrailingSpaces(line);
    if (glob.isEmpty() || glob.startsWith("#")) {
      return null;
    }
    boolean ignores = !glob.startsWith("!");
    glob = ignores ? glob : glob.substring(1);
    boolean foldersOnly = glob.endsWith("/");
    glob = foldersOnly ? glob.substring(0, glob.length() - 1) : glob;
    boolean wholePath = glob.contains("/");
    glob = glob.startsWith("/") ? glob.substring(1) : glob;
    if (glob.isEmpty()) {
      return null;
    }
    try {
      Pattern pattern = Pattern.compile(regex(glob), Pattern.DOTALL);
      return new Rule(pattern, wholePath, foldersOnly, ignores);
    } catch (PatternSyntaxException e) {
      return null; // as an open bracket, which matches nothing in git too
    }
  }

  private static String withoutTrailingSpaces(String line) {
    int end = line.length();
    while (end > 0 && line.charAt(end - 1) == ' ' && !(end > 1 && line.charAt(end - 2) == '\\')) {
      end--;
    }
    return line.substring(0, end);
  }

  private static String regex(String glob) {
    StringBuilder regex = new StringBuilder();
    int i = 0;
    while (i < glob.length()) {
      char c = glob.charAt(i);
      boolean atStart = i == 0 || glob.charAt(i - 1) == '/';
      if (atStart && glob.startsWith("**/", i)) {
        regex.append("(?:[^/]+/)*");
        i += 3;
      } else if (atStart && i > 0 && glob.startsWith("**", i) && i + 2 == glob.length()) {
        regex.append(".+");
        i += 2;
      } else if (c == '*') {
        regex.append("[^/]*");
        while (i < glob.length() && glob.charAt(i) == '*') {
          i++;
        }
      } else if (c == '?') {
        regex.append("[^/]");
        i++;
      } else if (c == '[') {
        i = appendClass(glob, i, regex);
      } else {
        if (c == '\\' && i + 1 < glob.length()) {
          c = glob.charAt(++i);
        }
        appendLiteral(c, regex);
        i++;
      }
    }
    return regex.toString();
  }

  /** A set as {@code [a-z]}, {@code [!a]} or {@code [[:digit:]]}; it never matches a slash. */
  private static int appendClass(String glob, int open, StringBuilder regex) {
    int i = open + 1;
    boolean negated = i < glob.length() && (glob.charAt(i) == '!' || glob.charAt(i) == '^');
    regex.append(negated ? "(?!/)[^" : "(?!/)[");
    i += negated ? 1 : 0;
    for (boolean first = true; ; first = false) {
      if (i >= glob.length()) {
        throw new PatternSyntaxException("a bracket is not closed", glob, open);
      }
      char c = glob.charAt(i);
      int named = c == '[' && glob.startsWith("[:", i) ? glob.indexOf(":]", i) : -1;
      if (c == ']' && !first) {
        regex.append(']');
        return i + 1;
      } else if (named > 0) {
        regex.append(posix(glob.substring(i + 2, named)));
        i = named + 2;
      } else if (c == '-' && !first && i + 1 < glob.length() && glob.charAt(i + 1) != ']') {
        regex.append('-');
        i++;
      } else {
        if (c == '\\' && i + 1 < glob.length()) {
          c = glob.charAt(++i);
        }
        appendLiteral(c, regex);
        i++;
      }
    }
  }

  private static String posix(String name) {
    return switch (name) {
      case "alnum" -> "\\p{Alnum}";
      case "alpha" -> "\\p{Alpha}";
      case "blank" -> "\\p{Blank}";
      case "cntrl" -> "\\p{Cntrl}";
      case "digit" -> "\\p{Digit}";
      case "graph" -> "\\p{Graph}";
      case "lower" -> "\\p{Lower}";
      case "print" -> "\\p{Print}";
      case "punct" -> "\\p{Punct}";
      case "space" -> "\\s";
      case "upper" -> "\\p{Upper}";
      case "xdigit" -> "\\p{XDigit}";
      default -> throw new PatternSyntaxException("there is no such class", name, 0);
    };
  }

  private static void appendLiteral(char c, StringBuilder regex) {
    if ("\\^$.|?*+()[]{}-&~#".indexOf(c) >= 0) {
      regex.append('\\');
    }
    regex.append(c);
  }
}
