/** From logits to a token. */
@NullMarked
package dev.jacquard.sampling;

import org.jspecify.annotations.NullMarked;
