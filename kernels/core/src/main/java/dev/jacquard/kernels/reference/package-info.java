/** The scalar backend: slow, plain, and the truth that others are compared with. */
@NullMarked
package dev.jacquard.kernels.reference;

import org.jspecify.annotations.NullMarked;
