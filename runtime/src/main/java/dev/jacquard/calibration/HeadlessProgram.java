package dev.jacquard.calibration;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A program without its output head, in which every row goes through all layers: for whoever reads
 * what layers compute and has no use for logits. Of the original, the last layer is only computed
 * for rows whose output is wanted, and the head may take most of a small model's time.
 */
public final class HeadlessProgram {
  /** Of slots of output rows: the slot that holds all rows instead. */
  private final Map<Slot, Slot> widened = new HashMap<>();

  private HeadlessProgram() {}

  /**
   * The program up to and with its last feed-forward layer, whose result takes the place of the
   * logits. Ops that are not changed are the same objects.
   *
   * @throws IllegalArgumentException if there is no feed-forward layer
   */
  public static Program of(Program program) {
    HeadlessProgram rewriter = new HeadlessProgram();
    List<Op> ops = new ArrayList<>();
    Op.FeedForward last = null;
    int end = 0;
    for (Op op : program.ops()) {
      Op own = rewriter.rewrite(op, ops);
      if (own instanceof Op.FeedForward f) {
        last = f;
        end = ops.size();
      }
    }
    if (last == null) {
      throw new IllegalArgumentException("the program has no feed-forward layer");
    }
    return new Program(ops.subList(0, end), program.kv(), last.out());
  }

  /** Appends what an op becomes, and returns it; a selection of rows becomes nothing. */
  private Op rewrite(Op op, List<Op> ops) {
    Op own =
        switch (op) {
          case Op.SelectRows o -> {
            widened.put(o.out(), of(o.in()));
            yield o;
          }
          case Op.RmsNorm o -> new Op.RmsNorm(of(o.in()), o.weight(), o.epsilon(), of(o.out()));
          case Op.MatMul o ->
              new Op.MatMul(
                  of(o.in()),
                  o.projections().stream()
                      .map(p -> new Op.Projection(p.linear(), of(p.out())))
                      .toList());
          case Op.FeedForward o ->
              new Op.FeedForward(
                  o.layer(),
                  of(o.in()),
                  o.gate(),
                  o.up(),
                  o.down(),
                  o.activation(),
                  of(o.hidden()),
                  of(o.out()));
          case Op.Add o -> new Op.Add(of(o.a()), of(o.b()), of(o.out()));
          case Op.Rope o -> new Op.Rope(of(o.inOut()), o.headSize(), o.rotary());
          case Op.Embed _, Op.WriteKv _, Op.SelectPages _, Op.Attention _, Op.Head _ -> op;
        };
    if (!(own instanceof Op.SelectRows)) {
      ops.add(own);
    }
    return own;
  }

  private Slot of(Slot slot) {
    return slot.domain() == Domain.ALL
        ? slot
        : widened.computeIfAbsent(slot, s -> new Slot(s.name(), s.width(), Domain.ALL));
  }
}
