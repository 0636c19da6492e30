package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * {@link Op.SelectPages}: which rows have slices, by the class of their sequence; what is in them
 * is the business of a {@link Selector}.
 */
final class PageSelector {
  private final WorkerPool pool;

  PageSelector(WorkerPool pool) {
    this.pool = pool;
  }

  void run(
      Op.SelectPages op,
      StepInputs inputs,
      QuantizedKvStorage kv,
      float[] query,
      PageSelection out) {
    out.clear();
    Step step = new Step(op, inputs, kv, query, out, new ArrayList<>());
    for (int first = 0; first < inputs.rows(); ) {
      int count = rowsOfSequence(inputs, first);
      step.select(first, count);
      first += count;
    }
    pool.run(
        step.tasks.size(),
        1,
        (from, to, thread) -> {
          for (int i = from; i < to; i++) {
            step.tasks.get(i).run();
          }
        });
  }

  private static int rowsOfSequence(StepInputs inputs, int first) {
    int end = first;
    while (end < inputs.rows() && inputs.sequence(end) == inputs.sequence(first)) {
      end++;
    }
    return end - first;
  }

  /** Slices are added one after the other, and filled later, by any thread. */
  @SuppressWarnings("ArrayRecordComponent") // a view of a slot, never compared
  private record Step(
      Op.SelectPages op,
      StepInputs inputs,
      QuantizedKvStorage kv,
      float[] query,
      PageSelection out,
      List<Runnable> tasks) {

    void select(int first, int count) {
      boolean one = count == 1;
      boolean sketched = kv.sketched(op.layer());
      switch (inputs.exactness(inputs.sequence(first))) {
        case Exactness.Dense _ -> {}
        case Exactness.Certified(double epsilon) when one ->
            selectRow(first, new CertifiedSelector(epsilon));
        case Exactness.Certified _ -> {}
        case Exactness.Verified wanted when one && sketched ->
            selectRow(first, new VerifiedSelector(wanted));
        case Exactness.Verified _ -> {}
        case Exactness.Budgeted(double coverage, double _) when one && sketched ->
            selectRow(first, new BudgetedSelector(coverage, false));
        case Exactness.Budgeted(double _, double coverage) when sketched && coverage < 1 ->
            selectBlocks(first, count, new BlockSelector(coverage));
        case Exactness.Budgeted _ -> {}
      }
    }

    private void selectRow(int row, Selector selector) {
      int kvHeads = kv.layer(op.layer()).heads();
      int shared = op.heads() / kvHeads;
      for (int kvHead = 0; kvHead < kvHeads; kvHead++) {
        int firstHead = kvHead * shared;
        PageSelection.Slice slice = out.add(row, 1, firstHead, shared, view(row));
        tasks.add(() -> selector.select(sight(row, firstHead, shared), slice));
      }
    }

    private void selectBlocks(int first, int count, BlockSelector selector) {
      for (int row = first; row < first + count; ) {
        int start = row;
        int block = inputs.position(start) / BlockSelector.ROWS;
        while (row < first + count && inputs.position(row) / BlockSelector.ROWS == block) {
          row++;
        }
        if (inputs.position(start) >= BlockSelector.FIRST_POSITION) {
          selectBlock(start, row, selector);
        }
      }
    }

    private void selectBlock(int start, int end, BlockSelector selector) {
      for (int h = 0; h < op.heads(); h++) {
        int head = h;
        PageSelection.Slice slice = out.add(start, end - start, head, 1, view(start));
        tasks.add(
            () ->
                selector.select(
                    IntStream.range(start, end).mapToObj(row -> sight(row, head, 1)).toList(),
                    slice));
      }
    }

    private KvView view(int row) {
      return inputs.view(inputs.sequence(row), kv.groupOf(op.layer()));
    }

    private Sight sight(int row, int firstHead, int heads) {
      int size = kv.layer(op.layer()).keySize();
      int shared = op.heads() / kv.layer(op.layer()).heads();
      return new Sight(
          kv,
          op.layer(),
          firstHead / shared,
          new Visible(view(row), 0, inputs.position(row)),
          new Queries(
              query, (row * op.heads() + firstHead) * size, size, heads, op.scale(), op.softCap()));
    }
  }
}
