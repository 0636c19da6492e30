package dev.jacquard.kvstore;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.TestData;
import java.nio.file.Path;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** A tiny model, compiled, with a cache: what runs steps here instead of a session. */
final class StoreRig implements AutoCloseable {
  static final int[] LEAD = {1};
  private static final int MAX_ROWS = 400;

  final ModelFile file;
  final Program program;
  final PagedKvCache cache;
  private final Backend backend;
  private final Executable executable;
  private final StepInputs inputs;

  StoreRig(String model, String backendName, KvFormat format) {
    file = ModelFile.open(TestData.resource("architectures/" + model + ".gguf"));
    program = Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
    backend = Backends.open(backendName, new BackendOptions(2));
    executable = backend.compile(program, CompileOptions.of(MAX_ROWS, 1));
    cache = new PagedKvCache(backend.allocateKv(program.kv(), format), 1 << 16);
    inputs = new StepInputs(MAX_ROWS, program.kv().groupWindows().size());
  }

  /** A store of this model in {@code folder}. */
  KvStore store(Path folder, long maxBytes) {
    return new KvStore(folder, maxBytes, file.fingerprint(), program);
  }

  KvStorage storage() {
    return cache.storage();
  }

  /** Any ids, the same for the same seed. */
  int[] ids(int seed, int count) {
    int vocabulary = program.logits().width();
    return new Random(seed).ints(count, 0, vocabulary).toArray();
  }

  /** Stores a file, computed in steps of {@code rows}. */
  StoredFile record(KvStore store, int[] ids, int rows) {
    try (KvSequence sequence = cache.newSequence();
        KvRecorder recorder = store.record(LEAD, ids)) {
      run(sequence, recorder.tokens(), rows, recorder);
      return recorder.finish();
    }
  }

  /** Runs tokens at the end of a sequence. */
  void run(KvSequence sequence, int[] tokens, int rows, @Nullable KvRecorder recorder) {
    for (int from = 0; from < tokens.length; from += rows) {
      int to = Math.min(tokens.length, from + rows);
      inputs.clear();
      int position = sequence.length();
      sequence.append(inputs, tokens, from, to, 0, AttentionPolicy.DENSE);
      if (recorder == null) {
        executable.run(inputs, storage(), null);
      } else {
        recorder.begin(0, position, to - from);
        executable.run(inputs, storage(), (index, op) -> recorder.after(index, executable));
        recorder.end();
      }
    }
  }

  /**
   * Runs tokens that begin at {@code position} instead of 0, with nothing before them; returns, by
   * group, where their keys and values are. Their pages are none of the cache's: no sequence may
   * grow after this.
   */
  KvView[] runAt(int position, int[] tokens) {
    KvView[] views = new KvView[program.kv().groupWindows().size()];
    inputs.clear();
    int sequence = inputs.addSequence();
    for (int i = 0; i < tokens.length; i++) {
      inputs.addRow(sequence, position + i, tokens[i], false);
    }
    for (int g = 0; g < views.length; g++) {
      int first = storage().pages(g);
      int pages = (tokens.length + KvStorage.PAGE_TOKENS - 1) / KvStorage.PAGE_TOKENS;
      storage().grow(g, first + pages);
      views[g] = new KvView();
      for (int i = 0; i < tokens.length; i += KvStorage.PAGE_TOKENS) {
        int length = Math.min(KvStorage.PAGE_TOKENS, tokens.length - i);
        int page = first + i / KvStorage.PAGE_TOKENS;
        views[g].add(page, position + i, length, false);
        inputs.view(sequence, g).add(page, position + i, length, false);
        for (int t = 0; t < length; t++) {
          inputs.setWrite(g, i + t, page, t);
        }
      }
    }
    executable.run(inputs, storage(), null);
    return views;
  }

  /** By group, all pages that a sequence holds. */
  KvView[] views(KvSequence sequence) {
    inputs.clear();
    try (KvSequence fork = sequence.fork()) {
      fork.append(inputs, LEAD, 0, 1, 0, new Everything());
    }
    KvView[] views = new KvView[program.kv().groupWindows().size()];
    for (int g = 0; g < views.length; g++) {
      views[g] = new KvView();
      KvView view = inputs.view(0, g);
      for (int i = 0; i < view.size(); i++) {
        views[g].add(view.page(i), view.firstPosition(i), view.length(i), false);
      }
    }
    return views;
  }

  /** Selects what no row sees any more, too. */
  private static final class Everything implements AttentionPolicy {
    @Override
    public Exactness exactness(int length) {
      return Exactness.DENSE;
    }

    @Override
    public void select(KvView live, int window, int firstPosition, KvView selected) {
      for (int i = 0; i < live.size(); i++) {
        selected.add(live.page(i), live.firstPosition(i), live.length(i), false);
      }
    }
  }

  @Override
  public void close() {
    cache.close();
    executable.close();
    backend.close();
    file.close();
  }
}
