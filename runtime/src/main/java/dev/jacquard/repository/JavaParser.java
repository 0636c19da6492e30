package dev.jacquard.repository;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.ImportTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.ModuleTree;
import com.sun.source.tree.PackageTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.Trees;
import dev.jacquard.repository.Symbol.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.jspecify.annotations.Nullable;

/**
 * Finds the symbols of Java sources with the parser of the JDK's own compiler. Nothing is resolved
 * or compiled, no class path is read, no annotation processor runs. A source with errors gives the
 * symbols that the parser could make out; one that is nested too deeply for it, blocks.
 *
 * <p>Needs the module jdk.compiler: this class must not be loaded without it.
 */
final class JavaParser implements AutoCloseable {
  /** Generated sources nest expressions by the thousand; the parser recurses into each. */
  private static final long STACK_BYTES = 256L << 20;

  /** Symbols are not told that lie in more types than this, so that readers may recurse. */
  private static final int MAX_DEPTH = 32;

  private static final List<String> OPTIONS =
      List.of(
          "-proc:none",
          "--enable-preview",
          "--source",
          Integer.toString(Runtime.version().feature()));

  private final long stackBytes;
  private final JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
  private final StandardJavaFileManager files =
      compiler.getStandardFileManager(_ -> {}, Locale.ROOT, StandardCharsets.UTF_8);

  JavaParser() {
    this(STACK_BYTES);
  }

  /** A parser whose thread has another stack. */
  JavaParser(long stackBytes) {
    this.stackBytes = stackBytes;
  }

  /** A source in memory. */
  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(int number, String text) {
      super(URI.create("source:///" + number + "/Source.java"), JavaFileObject.Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }

  /** The outlines of some sources, in their order. */
  List<Outline> parse(List<String> texts) {
    FutureTask<List<Outline>> work = new FutureTask<>(() -> parseAll(texts));
    Thread thread = new Thread(null, work, "java-parser", stackBytes);
    thread.setDaemon(true);
    thread.start();
    return result(work);
  }

  private static <T> T result(FutureTask<T> work) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return work.get();
        } catch (InterruptedException e) {
          interrupted = true; // the work is short: told when it is done
        }
      }
    } catch (ExecutionException e) {
      throw new IllegalStateException("the Java parser failed", e.getCause());
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** All in one task, which is fastest; one by one if that fails. */
  private List<Outline> parseAll(List<String> texts) {
    try {
      return parseTogether(texts);
    } catch (StackOverflowError | RuntimeException e) {
      if (texts.size() == 1) {
        return List.of(TextBlocks.of(texts.getFirst()));
      }
      List<Outline> outlines = new ArrayList<>();
      for (String text : texts) {
        outlines.addAll(parseAll(List.of(text)));
      }
      return outlines;
    }
  }

  private List<Outline> parseTogether(List<String> texts) {
    List<Source> sources = new ArrayList<>();
    for (String text : texts) {
      sources.add(new Source(sources.size(), text));
    }
    JavacTask task =
        (JavacTask) compiler.getTask(Writer.nullWriter(), files, _ -> {}, OPTIONS, null, sources);
    SourcePositions positions = Trees.instance(task).getSourcePositions();
    List<Outline> outlines = new ArrayList<>();
    try {
      for (CompilationUnitTree unit : task.parse()) {
        String text = texts.get(outlines.size());
        Outline outline = new UnitScan(unit, positions, text).outline();
        outlines.add(outline.symbols().isEmpty() ? TextBlocks.of(text) : outline);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (outlines.size() != texts.size()) {
      throw new IllegalStateException(outlines.size() + " of " + texts.size() + " were parsed");
    }
    return outlines;
  }

  @Override
  public void close() {
    try {
      files.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Collects the symbols of one source. */
  private static final class UnitScan {
    private final CompilationUnitTree unit;
    private final SourcePositions positions;
    private final String text;
    private final LineIndex lines;

    UnitScan(CompilationUnitTree unit, SourcePositions positions, String text) {
      this.unit = unit;
      this.positions = positions;
      this.text = text;
      this.lines = new LineIndex(text);
    }

    Outline outline() {
      List<String> imports = unit.getImports().stream().map(UnitScan::imported).toList();
      List<Tree> declared = new ArrayList<>(unit.getTypeDecls());
      if (unit.getPackage() != null) {
        declared.addFirst(unit.getPackage());
      }
      if (unit.getModule() != null) {
        declared.add(unit.getModule());
      }
      return new Outline(imports, symbols(declared, 0, "", 0));
    }

    private static String imported(ImportTree tree) {
      String name = tree.getQualifiedIdentifier().toString();
      String type = tree.isStatic() ? name.substring(0, Math.max(0, name.lastIndexOf('.'))) : name;
      return type.endsWith(".*") ? type.substring(0, type.length() - 2) : type;
    }

    /**
     * Symbols of the declarations among some trees.
     *
     * @param border none of them begins before
     * @param owner name of the type whose members they are
     * @param depth number of types around them
     */
    private List<Symbol> symbols(List<? extends Tree> trees, int border, String owner, int depth) {
      if (depth > MAX_DEPTH) {
        return List.of();
      }
      List<Tree> sorted = new ArrayList<>(trees);
      sorted.sort(Comparator.comparingLong(tree -> positions.getEndPosition(unit, tree)));
      List<Symbol> symbols = new ArrayList<>();
      int from = border;
      for (Tree tree : sorted) {
        int end = (int) positions.getEndPosition(unit, tree);
        int begin = Math.max(from, (int) positions.getStartPosition(unit, tree));
        if (end <= begin || end > text.length()) {
          continue; // made up by the parser where something is missing
        }
        Symbol symbol =
            symbol(tree, withComments(afterSeparators(begin, end), from), end, owner, depth);
        if (symbol != null) {
          symbols.add(symbol);
          from = end;
        }
      }
      return symbols;
    }

    private @Nullable Symbol symbol(Tree tree, int start, int end, String owner, int depth) {
      return switch (tree) {
        case PackageTree t ->
            lines.symbol(Kind.PACKAGE, t.getPackageName().toString(), start, end, List.of());
        case ModuleTree t -> lines.symbol(Kind.TYPE, t.getName().toString(), start, end, List.of());
        case ClassTree t -> {
          String name = t.getSimpleName().toString();
          yield lines.symbol(
              Kind.TYPE, name, start, end, symbols(t.getMembers(), start, name, depth + 1));
        }
        case MethodTree t when t.getName().contentEquals("<init>") ->
            lines.symbol(Kind.CONSTRUCTOR, owner, start, end, List.of());
        case MethodTree t ->
            lines.symbol(Kind.METHOD, t.getName().toString(), start, end, List.of());
        case VariableTree t ->
            lines.symbol(Kind.FIELD, t.getName().toString(), start, end, List.of());
        default -> null; // initialisers, stray semicolons, what could not be parsed
      };
    }

    /** Further variables of one declaration begin after its comma. */
    private int afterSeparators(int begin, int end) {
      int at = begin;
      while (at < end - 1 && (text.charAt(at) == ',' || Character.isWhitespace(text.charAt(at)))) {
        at++;
      }
      return at;
    }

    /**
     * Where the comments begin that stand directly before {@code start}, on lines of their own.
     *
     * @param border end of what stands before
     */
    private int withComments(int start, int border) {
      boolean borderIsBegun = border > 0 && text.charAt(border - 1) != '\n';
      String gap = text.substring(border, start);
      int first = gap.length();
      while (true) {
        int end = gap.substring(0, first).stripTrailing().length();
        int line = gap.lastIndexOf('\n', end - 1) + 1;
        int comment = -1;
        if (gap.startsWith("*/", end - 2)) {
          comment = gap.lastIndexOf("/*", end - 3);
          line = gap.lastIndexOf('\n', comment) + 1;
        } else if (gap.substring(line, end).strip().startsWith("//")) {
          comment = gap.indexOf("//", line);
        }
        boolean ownLine =
            comment >= 0 && gap.substring(line, comment).isBlank() && !(line == 0 && borderIsBegun);
        if (!ownLine) {
          return border + first;
        }
        first = comment;
      }
    }
  }
}
