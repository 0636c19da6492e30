/** The Vector API backend: the only package that imports {@code jdk.incubator.vector}. */
@NullMarked
package dev.jacquard.kernels.vector;

import org.jspecify.annotations.NullMarked;
