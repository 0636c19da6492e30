/** Folders of sources: which files they hold, what was left out and why, and where symbols lie. */
@NullMarked
package dev.jacquard.repository;

import org.jspecify.annotations.NullMarked;
