package dev.jacquard.benchmarks;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.calibration.BasisStore;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.ModelFile;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * What a decoded token leaves out.
 *
 * @param name as it is written: {@code dense}, or some of {@code attention=CLASS}, {@code
 *     ffn=listed:SHARE} (a share of the neurons left out, random ones: the time does not depend on
 *     which) and {@code head=certified}, with {@code +} between them
 */
record CostVariant(String name, AttentionPolicy attention, double neuronsLeftOut, HeadRule head) {
  static final CostVariant DENSE =
      new CostVariant("dense", AttentionPolicy.DENSE, 0, HeadRule.DENSE);

  /** Reads a name. */
  static CostVariant parse(String name) {
    AttentionPolicy attention = AttentionPolicy.DENSE;
    double neurons = 0;
    HeadRule head = HeadRule.DENSE;
    for (String part : name.split("\\+", -1)) {
      if (part.startsWith("attention=")) {
        attention = AttentionPolicy.parse(part.substring(10), 0);
      } else if (part.startsWith("ffn=listed:")) {
        neurons = Double.parseDouble(part.substring(11));
      } else if (part.equals("head=certified")) {
        head = new HeadRule.Certified(1);
      } else if (!part.equals("dense")) {
        throw new IllegalArgumentException(
            "'%s' is none of dense, attention=CLASS, ffn=listed:SHARE, head=certified"
                .formatted(part));
      }
    }
    return new CostVariant(name, attention, neurons, head);
  }

  /** The format of the cache that it reads. */
  KvFormat kvFormat() {
    return attention.equals(AttentionPolicy.DENSE) ? KvFormat.F16 : KvFormat.Q8;
  }

  /** Has {@code run} leave out what this leaves out when it decodes. */
  void applyTo(ProgramRun run, ModelFile file, Program program) {
    if (kvFormat() == KvFormat.Q8) {
      new BasisStore(file, program.kv(), null)
          .load()
          .orElseThrow(
              () ->
                  new IllegalStateException(
                      file.path() + " has no bases of sketches: run 'jacquard calibrate' first"))
          .applyTo(run.storage());
    }
    run.leaveOut(attention, neurons(program), head);
  }

  private NeuronRule neurons(Program program) {
    if (neuronsLeftOut == 0) {
      return NeuronRule.ALL;
    }
    Random random = new Random(7);
    List<int[]> kept = new ArrayList<>();
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward f) {
        int count = (int) Math.max(1, Math.round((1 - neuronsLeftOut) * f.neurons()));
        List<Integer> neurons = new ArrayList<>(IntStream.range(0, f.neurons()).boxed().toList());
        Collections.shuffle(neurons, random);
        kept.add(neurons.stream().limit(count).mapToInt(i -> i).sorted().toArray());
      }
    }
    return new NeuronRule.Listed(new NeuronSet(kept));
  }
}
