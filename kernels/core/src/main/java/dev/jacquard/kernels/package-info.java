/** The seam between models and devices: ops, programs, step inputs, key/value storage, backends. */
@NullMarked
package dev.jacquard.kernels;

import org.jspecify.annotations.NullMarked;
