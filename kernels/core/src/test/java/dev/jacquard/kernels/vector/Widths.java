package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.BackendProvider;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;

/**
 * Vector backends of any width in one process. The width is fixed when the classes of the package
 * are initialised, so each backend gets classes of its own.
 */
final class Widths {
  private static final Map<Integer, BackendProvider> PROVIDERS = new HashMap<>();
  private static final String PACKAGE = VectorBackendProvider.class.getPackageName() + ".";

  private Widths() {}

  /** A backend of {@code bits} bits, whatever the machine prefers. */
  static synchronized Backend open(int bits, int threads) {
    String before = System.getProperty(Lanes.BITS_PROPERTY);
    System.setProperty(Lanes.BITS_PROPERTY, Integer.toString(bits));
    try {
      Backend backend =
          PROVIDERS.computeIfAbsent(bits, b -> ownProvider()).open(new BackendOptions(threads));
      if (!backend.description().contains(bits + " bit")) {
        throw new AssertionError(backend.description() + " has not " + bits + " bits");
      }
      return backend;
    } finally {
      if (before == null) {
        System.clearProperty(Lanes.BITS_PROPERTY);
      } else {
        System.setProperty(Lanes.BITS_PROPERTY, before);
      }
    }
  }

  private static BackendProvider ownProvider() {
    try {
      return Class.forName(VectorBackendProvider.class.getName(), true, new OwnCopies())
          .asSubclass(BackendProvider.class)
          .getDeclaredConstructor()
          .newInstance();
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  private static final class OwnCopies extends ClassLoader {
    OwnCopies() {
      super(Widths.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith(PACKAGE)) {
        return super.loadClass(name, resolve);
      }
      synchronized (getClassLoadingLock(name)) {
        Class<?> known = findLoadedClass(name);
        return known != null ? known : define(name);
      }
    }

    private Class<?> define(String name) throws ClassNotFoundException {
      try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        byte[] bytes = in.readAllBytes();
        return defineClass(name, bytes, 0, bytes.length);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
