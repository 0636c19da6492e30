package dev.jacquard.session;

import dev.jacquard.calibration.BasisStore;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.calibration.CalibrationException;
import dev.jacquard.calibration.Calibrator;
import dev.jacquard.calibration.SavedCalibration;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.memory.JacquardException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;

/**
 * Sees to it that the cache sketches its keys: with saved bases from the start, or, once a session
 * wants sketches and there are no bases, with such as are made from that session's own tokens. If
 * these do not allow it, everything is read, and one line in the log says so.
 *
 * <p>All but the constructor runs on the engine thread.
 */
final class Sketching {
  private static final System.Logger LOGGER = System.getLogger(Sketching.class.getName());

  private final Calibrator calibrator;
  private final BasisStore store;
  private final KvStorage storage;
  private final int[] lead;
  private boolean settled;

  /**
   * Gives saved bases to the storage, if there are any.
   *
   * @param lead tokens that begin every text, as BOS
   */
  Sketching(Calibrator calibrator, BasisStore store, KvStorage storage, int[] lead) {
    this.calibrator = calibrator;
    this.store = store;
    this.storage = storage;
    this.lead = lead;
    settled = storage.format() != KvFormat.Q8 || !calibrator.possible();
    if (!settled) {
      store.load().ifPresent(this::apply);
    }
  }

  private void apply(Calibration calibration) {
    calibration.applyTo(storage);
    settled = true;
  }

  /** Makes bases of a text, saves them, and has the cache use them. */
  SavedCalibration calibrate(int[] tokens, String source, DoubleConsumer progress) {
    Calibration calibration = calibrator.calibrate(lead, tokens, source, progress);
    if (storage.format() == KvFormat.Q8) {
      apply(calibration);
    }
    return new SavedCalibration(calibration, store.save(calibration));
  }

  /**
   * Before the jobs' next step: makes bases if one of them wants sketches and there are none yet.
   *
   * @param closing whether to give up because the engine is closed
   */
  void prepare(List<Job> jobs, BooleanSupplier closing) {
    if (settled) {
      return;
    }
    for (Job job : jobs) {
      if (job.readsSketches() && job.sequence().length() >= Calibrator.LEAST_TOKENS + lead.length) {
        prepare(job, closing);
        return;
      }
    }
  }

  private void prepare(Job job, BooleanSupplier closing) {
    TokenSequence sequence = job.sequence();
    int from = sequence.beginsWith(lead) ? lead.length : 0;
    int to = Math.min(sequence.length(), from + Calibrator.DEFAULT_TOKENS);
    int[] tokens = Arrays.copyOfRange(sequence.tokens(), from, to);
    LOGGER.log(
        Level.INFO,
        "sketches of keys are calibrated, once, on {0} tokens of this prompt; ''jacquard calibrate''"
            + " does it on a text of your choice",
        String.valueOf(tokens.length));
    try {
      Calibration calibration =
          calibrator.calibrate(
              lead,
              tokens,
              "a prompt",
              share -> {
                if (job.cancelled() || closing.getAsBoolean()) {
                  throw new CancellationException("calibration was given up");
                }
              });
      apply(calibration);
      Optional<Path> saved = store.saveInCache(calibration);
      LOGGER.log(Level.DEBUG, "bases of sketches: {0}", saved);
    } catch (CancellationException e) {
      LOGGER.log(Level.DEBUG, "calibration was given up", e);
    } catch (CalibrationException e) {
      settled = true;
      LOGGER.log(
          Level.WARNING,
          "attention reads everything, because this prompt gives no sketches ("
              + e.getMessage()
              + "); run 'jacquard calibrate'");
    } catch (JacquardException e) {
      if (!settled) { // the device failed, and not just the disk
        throw e;
      }
      LOGGER.log(Level.WARNING, e.getMessage());
    }
  }
}
