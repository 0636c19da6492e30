package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import java.util.List;

/**
 * A program to compare backends with. Its inputs come in through embeddings: the row of a token is
 * the row of an activation. The results are what the last op writes.
 *
 * @param name of the test
 * @param program the op under test comes last
 * @param kvFormat of the cache
 * @param sequences lengths of the sequences; token {@code 13·position + sequence}, modulo the
 *     vocabulary, stands at a position, and its output is wanted unless {@code position % 3 == 1}
 * @param vocabulary rows of the embeddings
 */
public record OpCase(
    String name, Program program, KvFormat kvFormat, List<Integer> sequences, int vocabulary) {
  /** Copies. */
  public OpCase {
    sequences = List.copyOf(sequences);
  }

  /** The op under test. */
  public Op op() {
    return program.ops().getLast();
  }

  /** The slots to compare. */
  public List<Slot> results() {
    return Program.outputs(op());
  }

  /** The token at a position. */
  public int token(int sequence, int position) {
    return (13 * position + sequence) % vocabulary;
  }

  /** Whether the output of a row is wanted. */
  public boolean output(int position) {
    return position % 3 != 1;
  }

  /** Whether a slot has a row for this position. */
  public boolean hasRow(Slot slot, int position) {
    return slot.domain() == Slot.Domain.ALL || output(position);
  }

  @Override
  public String toString() {
    return name;
  }
}
