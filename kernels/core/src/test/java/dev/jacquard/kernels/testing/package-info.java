/** What every backend must pass: ops over shapes and formats, compared with the reference. */
@NullMarked
package dev.jacquard.kernels.testing;

import org.jspecify.annotations.NullMarked;
