/** Removing neurons of feed-forward layers from a model, once and for all. */
@NullMarked
package dev.jacquard.pruning;

import org.jspecify.annotations.NullMarked;
