package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Somebody shortens the model file while it is in use; in a JVM of its own, which may die. */
final class LostFileTest {
  /**
   * Either the check before a step notices, or, without it, a step that reads a lost page. The
   * vector backend soon reads packed copies alone, so that only the check is sure to notice.
   */
  @ParameterizedTest
  @CsvSource({"reference, checked", "reference, unchecked", "vector, checked"})
  void endsTheGenerationAndLeavesEngineAndJvmAlive(
      String backend, String mode, @TempDir Path folder) throws Exception {
    Path model = folder.resolve("model.gguf");
    Files.copy(TestData.bundledModel(), model, StandardCopyOption.REPLACE_EXISTING);
    ChildJvm.Result result =
        ChildJvm.run(
            folder,
            Child.class.getName(),
            backend,
            mode,
            model.toString(),
            TestData.bundledModel() + "");
    assertEquals(
        """
        ERROR, the file was shortened: true
        the session is closed
        ERROR, the file was shortened: true
        whole model LENGTH
        """,
        result.output());
    assertEquals(0, result.exitStatus());
  }

  /** What runs in the other JVM: backend, mode, file to shorten, file to leave alone. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws IOException {
      ModelOptions options = TestModels.OPTIONS.withBackend(args[0]).withThreads(2);
      Path path = Path.of(args[2]);
      ModelFile file = GgufFile.open(path);
      if (args[1].equals("unchecked")) {
        file = new Unchecked(file);
      }
      try (Model model =
          Jacquard.load(file, options, () -> Backends.open(args[0], new BackendOptions(2)))) {
        model.engine().start();
        Session session = model.newSession();
        GenerationStream stream = session.generate(TestModels.greedy(500, 1, 2, 3));
        stream.next();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
          channel.truncate(100);
        }
        tell(TestModels.read(stream));
        try {
          session.generate(TestModels.greedy(1));
        } catch (IllegalStateException e) {
          System.out.println("the session is closed");
        }
        tell(TestModels.read(model.newSession().generate(TestModels.greedy(5, 1, 2, 3))));
      }
      try (Model model = Jacquard.open(Path.of(args[3]), options);
          Session session = model.newSession()) {
        System.out.println(
            "whole model "
                + TestModels.read(session.generate(TestModels.greedy(5, 1, 2, 3))).reason());
      }
    }

    private static void tell(TestModels.Output output) {
      String message = String.valueOf(output.end().error());
      System.out.println(
          output.reason() + ", the file was shortened: " + message.contains("shortened"));
    }
  }

  /** A file that nobody asks whether it is intact. */
  private record Unchecked(ModelFile file) implements ModelFile {
    @Override
    public void requireIntact() {}

    @Override
    public Path path() {
      return file.path();
    }

    @Override
    public ModelMetadata metadata() {
      return file.metadata();
    }

    @Override
    public List<TensorInfo> tensors() {
      return file.tensors();
    }

    @Override
    public Optional<Tensor> tensor(String name) {
      return file.tensor(name);
    }

    @Override
    public long bytes() {
      return file.bytes();
    }

    @Override
    public String fingerprint() {
      return file.fingerprint();
    }

    @Override
    public String stamp() {
      return file.stamp();
    }

    @Override
    public void requireUnchanged() {
      file.requireUnchanged();
    }

    @Override
    public String contentHash(DoubleConsumer progress) {
      return file.contentHash(progress);
    }

    @Override
    public FileTime modified() {
      return file.modified();
    }

    @Override
    public void close() {
      file.close();
    }
  }
}
