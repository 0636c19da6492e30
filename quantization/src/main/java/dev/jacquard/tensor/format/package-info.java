/** One file per number format: its block layout, decoder and encoder. */
@NullMarked
package dev.jacquard.tensor.format;

import org.jspecify.annotations.NullMarked;
