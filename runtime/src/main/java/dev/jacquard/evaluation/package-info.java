/** How close a model's output is to another's, and how well it predicts a text. */
@NullMarked
package dev.jacquard.evaluation;

import org.jspecify.annotations.NullMarked;
