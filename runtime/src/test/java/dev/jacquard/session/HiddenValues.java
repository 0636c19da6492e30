package dev.jacquard.session;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvCache;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.ModelFile;
import java.util.ArrayList;
import java.util.List;

/** Hidden values of a feed-forward layer for the tokens of a text, without an engine. */
final class HiddenValues {
  private HiddenValues() {}

  static List<float[]> of(ModelFile file, Op.FeedForward layer, int[] tokens) {
    Program program =
        Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
    List<float[]> rows = new ArrayList<>();
    try (Backend backend = Backends.open("vector", new BackendOptions(2));
        Executable executable = backend.compile(program, CompileOptions.of(tokens.length, 1));
        KvCache cache =
            new PagedKvCache(backend.allocateKv(program.kv(), KvFormat.F16), Long.MAX_VALUE);
        KvSequence sequence = cache.newSequence()) {
      StepInputs inputs = new StepInputs(tokens.length, program.kv().groupWindows().size());
      sequence.append(inputs, tokens, 0, tokens.length, 0, AttentionPolicy.DENSE);
      executable.run(
          inputs,
          cache.storage(),
          (_, op) -> {
            if (op instanceof Op.FeedForward f && f.layer() == layer.layer()) {
              for (int row = 0; row < tokens.length; row++) {
                float[] values = new float[f.neurons()];
                executable.read(f.hidden(), row, values, 0);
                rows.add(values);
              }
            }
          });
    }
    return rows;
  }
}
