package dev.jacquard.quantization;

import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.TensorInfo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * How much each column of a model's matrices counts: the mean square of what it is multiplied with,
 * measured on a text. Rounding then lowers the errors of columns that count, at the cost of the
 * others.
 *
 * @param entries by the name of the matrix, as {@code blk.0.attn_q.weight}
 * @param datasets texts that it was measured on, by their names
 * @param chunks pieces of text that were read, 0 if unknown
 * @param chunkSize tokens of a piece, 0 if unknown
 */
public record ImportanceMatrix(
    Map<String, Entry> entries, List<String> datasets, int chunks, int chunkSize) {
  /**
   * Sums of one tensor.
   *
   * @param squares sums of x² for each column, of all matrices of the tensor one after the other;
   *     not to be changed
   * @param counts rows that were added up, for each matrix, or one number for all
   */
  @SuppressWarnings("ArrayRecordComponent") // passed on, never compared
  public record Entry(float[] squares, long[] counts) {
    /** Checks. */
    public Entry {
      if (counts.length == 0 || squares.length == 0 || squares.length % counts.length != 0) {
        throw new IllegalArgumentException(
            squares.length + " sums of squares with " + counts.length + " counts");
      }
    }

    /** Columns of a matrix that has a count of its own. */
    int columns() {
      return squares.length / counts.length;
    }
  }

  /** Copies, in the order of the names. */
  public ImportanceMatrix {
    entries = new TreeMap<>(entries);
    datasets = List.copyOf(datasets);
  }

  /**
   * Reads llama.cpp's file: a GGUF file, or the older form.
   *
   * @throws ModelFormatException if it is neither, or damaged
   * @throws IOException if it cannot be read
   */
  public static ImportanceMatrix read(Path file) throws IOException {
    return ImportanceFile.read(file);
  }

  /**
   * Writes a GGUF file, as llama-imatrix does.
   *
   * @throws IOException if it cannot be written
   */
  public void write(Path file) throws IOException {
    ImportanceFile.write(this, file);
  }

  /**
   * Importances of a tensor's columns, for each of its matrices (one, but for experts), or nothing
   * if it was not measured. A matrix that nothing was multiplied with has ones.
   *
   * @throws QuantizationException if the numbers are those of another tensor
   */
  Optional<float[][]> of(TensorInfo tensor) {
    Entry entry = entries.get(tensor.name());
    if (entry == null) {
      return Optional.empty();
    }
    int columns = Math.toIntExact(tensor.shape().columns());
    List<Long> sizes = tensor.shape().sizes();
    int matrices = sizes.size() < 3 ? 1 : Math.toIntExact(sizes.get(2));
    if (entry.squares.length != (long) columns * matrices) {
      if (Role.of(tensor.name()) == Role.TOKEN_EMBEDDING) {
        return Optional.empty(); // a table that is looked up has no columns to weigh
      }
      throw new QuantizationException(
          "the importance matrix has %d numbers for tensor %s, which has %d columns in %d matrices: it was made from another model"
              .formatted(entry.squares.length, tensor.name(), columns, matrices));
    }
    float[][] means = new float[matrices][columns];
    for (int i = 0; i < entry.squares.length; i++) {
      float count = entry.counts[i / entry.columns()];
      means[i / columns][i % columns] = count > 0 ? entry.squares[i] / count : 1;
    }
    return Optional.of(means);
  }
}
