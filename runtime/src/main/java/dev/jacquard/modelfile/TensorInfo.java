package dev.jacquard.modelfile;

import dev.jacquard.tensor.Shape;
import java.nio.file.Path;

/**
 * What a model file says about a tensor, whether or not its format can be decoded here.
 *
 * @param name as in the file
 * @param type name of its number format, as {@code Q4_K}
 * @param typeNumber ggml's number of the format
 * @param shape fastest-varying first
 * @param file the file (of a split model) that holds it
 * @param offset byte offset in that file
 * @param bytes size of its data
 */
public record TensorInfo(
    String name, String type, int typeNumber, Shape shape, Path file, long offset, long bytes) {}
