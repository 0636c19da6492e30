/** The library's entry point: models, sessions, generation. */
@NullMarked
package dev.jacquard.session;

import org.jspecify.annotations.NullMarked;
