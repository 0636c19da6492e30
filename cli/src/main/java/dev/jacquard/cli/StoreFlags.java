package dev.jacquard.cli;

import dev.jacquard.kvstore.KvStore;
import dev.jacquard.session.Model;
import dev.jacquard.session.WeightCache;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Where keys and values of files are stored. */
final class StoreFlags {
  /** A number of bytes, as {@code 20GB}; units are decimal. */
  static final class Size implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([KMGT]?)B?");

    @Override
    public Long convert(String value) {
      Matcher matcher = SIZE.matcher(value.strip().toUpperCase(Locale.ROOT));
      if (matcher.matches()) {
        int unit = matcher.group(2).isEmpty() ? 0 : 1 + "KMGT".indexOf(matcher.group(2));
        BigDecimal bytes = new BigDecimal(matcher.group(1)).movePointRight(3 * unit);
        if (bytes.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) <= 0) {
          return bytes.longValue();
        }
      }
      throw new TypeConversionException(
          "expected a number of bytes, as 500MB or 20GB, not '" + value + "'");
    }
  }

  @Option(
      names = "--store",
      paramLabel = "DIR",
      description = "Folder of stored keys and values (default: kv in the cache folder).")
  private @Nullable Path folder;

  @Option(
      names = "--store-size",
      paramLabel = "SIZE",
      converter = Size.class,
      defaultValue = "20GB",
      description =
          "Most bytes of the store, as 500MB; what was not used for longest goes first (default:"
              + " ${DEFAULT-VALUE}).")
  private long maxBytes;

  /** The folder that was named, or the one in the cache folder. */
  Path folder() {
    if (folder != null) {
      return folder;
    }
    return WeightCache.folder()
        .map(cache -> cache.resolve("kv"))
        .orElseThrow(
            () ->
                new InputException(
                    "there is no cache folder (jacquard.cache is 'none'): name one with --store"));
  }

  /** Most bytes of the store. */
  long maxBytes() {
    return maxBytes;
  }

  /** The store of a model in {@code folder}; a bar shows how far the model is read. */
  KvStore open(Path folder, Model model, Terminal terminal) {
    KvStore store =
        model.store(
            folder,
            maxBytes,
            share -> {
              terminal.interruption().check();
              terminal.status("reading the whole model once " + Terminal.bar(share));
            });
    terminal.clearStatus();
    return store;
  }
}
