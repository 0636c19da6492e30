/** Text to token ids and back. */
@NullMarked
package dev.jacquard.tokenizer;

import org.jspecify.annotations.NullMarked;
