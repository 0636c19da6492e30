/** Who owns which page of keys and values, and which pages a step reads. */
@NullMarked
package dev.jacquard.attention;

import org.jspecify.annotations.NullMarked;
