/** What a model is given to read: the context tree of a repository, and how a session is fed. */
@NullMarked
package dev.jacquard.context;

import org.jspecify.annotations.NullMarked;
