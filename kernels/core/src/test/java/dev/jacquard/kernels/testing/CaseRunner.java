package dev.jacquard.kernels.testing;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs a case on a backend in steps. Pages are filled unevenly, in a repeating pattern, and those
 * of different sequences lie between one another, so that a kernel that divides positions by the
 * page size is found out.
 *
 * @param chunk most tokens that a sequence adds in a step
 * @param together whether a step has rows of all sequences, or of one
 */
public record CaseRunner(int chunk, boolean together) {
  private static final int[] FILL = {PAGE_TOKENS, 5, PAGE_TOKENS, 1, 11, PAGE_TOKENS};

  /** A page of a sequence. */
  private record Entry(int page, int firstPosition, int length) {}

  /** Runs the case from the beginning to the end. */
  public Results run(OpCase test, Backend backend) {
    return run(test, backend, null);
  }

  /** Runs the case; the observer watches all steps. */
  public Results run(OpCase test, Backend backend, Executable.@Nullable Observer observer) {
    int rows = chunk * (together ? test.sequences().size() : 1);
    int groups = test.program().kv().groupWindows().size();
    StepInputs inputs = new StepInputs(rows, groups);
    Results results = new Results();
    try (Executable executable = backend.compile(test.program(), CompileOptions.of(rows, rows));
        KvStorage kv = backend.allocateKv(test.program().kv(), test.kvFormat())) {
      int[] lengths = new int[test.sequences().size()];
      int[] pageCount = new int[1];
      List<List<Entry>> pages = new ArrayList<>();
      test.sequences().forEach(length -> pages.add(new ArrayList<>()));
      while (true) {
        inputs.clear();
        List<Integer> members = new ArrayList<>();
        for (int s = 0; s < lengths.length && (together || members.isEmpty()); s++) {
          int count = Math.min(chunk, test.sequences().get(s) - lengths[s]);
          if (count > 0) {
            members.add(s);
            append(test, inputs, kv, pages.get(s), s, lengths[s], count, groups, pageCount);
            lengths[s] += count;
          }
        }
        if (members.isEmpty()) {
          return results;
        }
        executable.run(inputs, kv, observer);
        collect(test, executable, inputs, members, results);
      }
    }
  }

  /** All groups use the same page numbers here. */
  private static void append(
      OpCase test,
      StepInputs inputs,
      KvStorage kv,
      List<Entry> pages,
      int sequence,
      int length,
      int count,
      int groups,
      int[] pageCount) {
    int index = inputs.addSequence();
    for (int position = length; position < length + count; position++) {
      int row =
          inputs.addRow(index, position, test.token(sequence, position), test.output(position));
      Entry last = pages.isEmpty() ? new Entry(-1, 0, 0) : pages.removeLast();
      int fill = FILL[pages.size() % FILL.length];
      if (last.page < 0 || last.length == fill) {
        if (last.page >= 0) {
          pages.add(last);
        }
        last = new Entry(pageCount[0]++, position, 0);
      }
      pages.add(new Entry(last.page, last.firstPosition, last.length + 1));
      for (int g = 0; g < groups; g++) {
        kv.grow(g, pageCount[0]);
        inputs.setWrite(g, row, last.page, last.length);
      }
    }
    for (int g = 0; g < groups; g++) {
      for (Entry entry : pages) {
        inputs.view(index, g).add(entry.page, entry.firstPosition, entry.length, false);
      }
    }
  }

  private static void collect(
      OpCase test, Executable executable, StepInputs inputs, List<Integer> members, Results to) {
    for (Slot slot : test.results()) {
      int next = 0;
      for (int row = 0; row < inputs.rows(); row++) {
        if (test.hasRow(slot, inputs.position(row))) {
          float[] values = new float[slot.width()];
          executable.read(slot, next++, values, 0);
          to.put(slot, members.get(inputs.sequence(row)), inputs.position(row), values);
        }
      }
    }
  }
}
