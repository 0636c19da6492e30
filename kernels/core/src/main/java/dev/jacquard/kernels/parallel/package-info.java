/** The threads that compute. Not exported. */
@NullMarked
package dev.jacquard.kernels.parallel;

import org.jspecify.annotations.NullMarked;
