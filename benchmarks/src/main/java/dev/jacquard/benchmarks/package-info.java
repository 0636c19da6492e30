/** JMH benchmarks, and the cost of a token. */
@NullMarked
package dev.jacquard.benchmarks;

import org.jspecify.annotations.NullMarked;
