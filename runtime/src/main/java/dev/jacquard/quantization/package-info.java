/** Makes weights smaller: which format each tensor gets, and writing the model that has it. */
@NullMarked
package dev.jacquard.quantization;

import org.jspecify.annotations.NullMarked;
