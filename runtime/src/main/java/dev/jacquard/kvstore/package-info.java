/** Keys and values of files that are read again and again: on disk, and back in a cache. */
@NullMarked
package dev.jacquard.kvstore;

import org.jspecify.annotations.NullMarked;
