package dev.jacquard.testing;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import org.jspecify.annotations.Nullable;

/** Another executable, of which a test changes some calls. Closing it closes the other. */
public abstract class ForwardingExecutable implements Executable {
  private final Executable executable;

  /** Forwards to {@code executable}. */
  protected ForwardingExecutable(Executable executable) {
    this.executable = executable;
  }

  @Override
  public void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer) {
    executable.run(inputs, kv, observer);
  }

  @Override
  public void read(Slot slot, int row, float[] target, int offset) {
    executable.read(slot, row, target, offset);
  }

  @Override
  public void write(Slot slot, int row, float[] source, int offset) {
    executable.write(slot, row, source, offset);
  }

  @Override
  public PageSelection pages(PageList list) {
    return executable.pages(list);
  }

  @Override
  public AttentionReport attention() {
    return executable.attention();
  }

  @Override
  public FeedForwardReport feedForward() {
    return executable.feedForward();
  }

  @Override
  public HeadReport head() {
    return executable.head();
  }

  @Override
  public void completeHead() {
    executable.completeHead();
  }

  @Override
  public long weightBytesPerStep() {
    return executable.weightBytesPerStep();
  }

  @Override
  public long ownBytes() {
    return executable.ownBytes();
  }

  @Override
  public void close() {
    executable.close();
  }
}
