/** Model files: metadata, tensors, and the checks before anything is used. */
@NullMarked
package dev.jacquard.modelfile;

import org.jspecify.annotations.NullMarked;
