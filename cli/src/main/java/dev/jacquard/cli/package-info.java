/** The command line: one class per command. */
@NullMarked
package dev.jacquard.cli;

import org.jspecify.annotations.NullMarked;
