/** Memory outside the heap: who owns it, how much there is, and what went wrong with it. */
@NullMarked
package dev.jacquard.memory;

import org.jspecify.annotations.NullMarked;
