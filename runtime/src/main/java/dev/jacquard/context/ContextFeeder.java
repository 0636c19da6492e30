package dev.jacquard.context;

import dev.jacquard.context.ContextTree.ResidentFile;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.StoredFile;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Feeds a session with a context tree: each section of a file begins a page, pins are set, stored
 * sections placed.
 */
public final class ContextFeeder {
  /** Files are computed in pieces, between which the caller is told and may end it. */
  private static final int PIECE = 1024;

  /** Is told how far it is; may throw to end the feeding. */
  @FunctionalInterface
  public interface Progress {
    /** So many tokens of the tree are in the session. */
    void fed(int done, int total);
  }

  /**
   * What feeding took.
   *
   * @param computed tokens whose keys and values were computed
   * @param stored tokens of files that were in the store; of these too the first few are computed
   *     when the next step runs
   */
  public record Fed(int computed, int stored) {}

  private final Model model;
  private final @Nullable KvStore store;
  private final int recomputed;

  /**
   * A feeder.
   *
   * @param store of this model, or null: then everything is computed
   * @param recomputed how many of the first tokens of each stored section are computed
   */
  public ContextFeeder(Model model, @Nullable KvStore store, int recomputed) {
    this.model = model;
    this.store = store;
    this.recomputed = recomputed;
  }

  /**
   * Feeds a session of the model, after what it has already. Returns when all is computed that is
   * not in the store.
   *
   * @throws dev.jacquard.session.ContextExceededException if it does not fit the context
   * @throws dev.jacquard.memory.JacquardException if the computation fails
   */
  public Fed feed(Session session, ContextTree tree, Progress progress) {
    int base = session.position();
    int computed = 0;
    int stored = 0;
    for (ResidentFile file : tree.files()) {
      for (FileSection section : file.sections()) {
        session.startPage();
        Optional<StoredFile> found = find(section);
        if (found.isPresent() && store != null) {
          session.place(store, found.get(), recomputed);
          stored += section.ids().length;
        } else {
          compute(session, section.ids(), base, tree.tokens(), progress);
          computed += section.ids().length;
        }
      }
      file.node()
          .all()
          .filter(ContextNode::pinned)
          .forEach(node -> session.pin(base + node.first(), base + node.end()));
      progress.fed(session.position() - base, tree.tokens());
    }
    session.startPage(); // what follows belongs to no file
    return new Fed(computed, stored);
  }

  private Optional<StoredFile> find(FileSection section) {
    return store == null ? Optional.empty() : store.find(model.lead(), section.ids());
  }

  private static void compute(Session session, int[] ids, int base, int total, Progress progress) {
    for (int from = 0; from < ids.length; from += PIECE) {
      int[] piece = Arrays.copyOfRange(ids, from, Math.min(ids.length, from + PIECE));
      session.evaluate(piece, 0, (_, _) -> {});
      progress.fed(session.position() - base, total);
    }
  }
}
