package dev.jacquard.repository;

import java.util.Locale;

/** The language of a file, by the ending of its name. */
public enum Language {
  /** Java. */
  JAVA("java"),
  /** Kotlin. */
  KOTLIN("kt", "kts"),
  /** Scala. */
  SCALA("scala", "sc"),
  /** Groovy. */
  GROOVY("groovy", "gradle"),
  /** C. */
  C("c", "h"),
  /** C++, CUDA and OpenCL. */
  CPP("cc", "cpp", "cxx", "hh", "hpp", "hxx", "cu", "cuh", "cl"),
  /** C#. */
  C_SHARP("cs"),
  /** Go. */
  GO("go"),
  /** Rust. */
  RUST("rs"),
  /** Python. */
  PYTHON("py", "pyi"),
  /** JavaScript. */
  JAVASCRIPT("js", "mjs", "cjs", "jsx"),
  /** TypeScript. */
  TYPESCRIPT("ts", "tsx", "mts"),
  /** Ruby. */
  RUBY("rb"),
  /** PHP. */
  PHP("php"),
  /** Swift. */
  SWIFT("swift"),
  /** Shell scripts. */
  SHELL("sh", "bash", "zsh"),
  /** SQL. */
  SQL("sql"),
  /** Markdown. */
  MARKDOWN("md", "markdown"),
  /** XML and HTML. */
  XML("xml", "html", "htm", "xhtml", "xsd", "svg"),
  /** JSON. */
  JSON("json"),
  /** YAML. */
  YAML("yaml", "yml"),
  /** TOML, properties and other settings. */
  SETTINGS("toml", "ini", "properties", "cfg", "conf"),
  /** Any other text. */
  TEXT;

  /** Each with a space before and after. */
  private final String endings;

  Language(String... endings) {
    this.endings = " " + String.join(" ", endings) + " ";
  }

  /** The language of a file of this name; {@link #TEXT} if it tells none. */
  public static Language of(String path) {
    String name = path.substring(path.lastIndexOf('/') + 1).toLowerCase(Locale.ROOT);
    String ending = name.substring(name.lastIndexOf('.') + 1);
    for (Language language : values()) {
      if (language.endings.contains(" " + ending + " ")) {
        return language;
      }
    }
    return TEXT;
  }
}
