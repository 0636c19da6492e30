/** Measures what attention that reads less costs in quality, and records real heads for replay. */
@NullMarked
package dev.jacquard.evaluation.attention;

import org.jspecify.annotations.NullMarked;
