/** Model architectures: how the weights of a file become a program. */
@NullMarked
package dev.jacquard.architecture;

import org.jspecify.annotations.NullMarked;
