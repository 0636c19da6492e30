/** Tensors as views of memory, and the list of number formats. */
@NullMarked
package dev.jacquard.tensor;

import org.jspecify.annotations.NullMarked;
