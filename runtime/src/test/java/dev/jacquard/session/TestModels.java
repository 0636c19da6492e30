package dev.jacquard.session;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.testing.TestData;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Small models on the reference backend, and what a generation gave. */
final class TestModels {
  static final ModelOptions OPTIONS =
      ModelOptions.DEFAULT.withBackend("reference").withThreads(1).withKvFormat(KvFormat.F32);

  private TestModels() {}

  /** A generation that was read to its end. */
  record Output(
      List<Integer> ids,
      String text,
      List<GenerationEvent.Prefill> prefills,
      GenerationEvent.Finished end) {
    FinishReason reason() {
      return end.reason();
    }
  }

  static Backend reference() {
    return Backends.open("reference", new BackendOptions(1));
  }

  /** A model whose engine runs. */
  static Model open(String name, ModelOptions options) {
    return Jacquard.open(TestData.resource("architectures/" + name + ".gguf"), options);
  }

  /** A model whose engine the test steps by hand. */
  static Model byHand(String name, ModelOptions options, Backend backend) {
    return Jacquard.load(
        GgufFile.open(TestData.resource("architectures/" + name + ".gguf")),
        options,
        () -> backend);
  }

  static Model byHand(String name, ModelOptions options) {
    return byHand(name, options, reference());
  }

  /** The first {@code count} ids of the model's text. */
  static int[] ids(String name, int count) {
    return Arrays.copyOf(
        TestData.ids(TestData.resource("architectures/" + name + ".tokens.txt")), count);
  }

  static GenerationRequest greedy(int maxTokens, int... prompt) {
    return GenerationRequest.of(prompt)
        .withSampling(SamplingSettings.GREEDY)
        .withIgnoreEos(true)
        .withMaxTokens(maxTokens);
  }

  /** Steps until there is nothing to do. */
  static void finish(Model model) {
    while (model.engine().doWork() > 0) {}
  }

  static Output read(GenerationStream stream) {
    List<Integer> ids = new ArrayList<>();
    List<GenerationEvent.Prefill> prefills = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    while (true) {
      switch (stream.next()) {
        case GenerationEvent.Prefill prefill -> prefills.add(prefill);
        case GenerationEvent.Token(int id, String piece) -> {
          ids.add(id);
          text.append(piece);
        }
        case GenerationEvent.Finished end -> {
          return new Output(ids, text + end.text(), prefills, end);
        }
      }
    }
  }
}
