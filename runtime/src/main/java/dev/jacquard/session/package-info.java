/**
 * The library's entry point: models, sessions, generation.
 *
 * <p>{@link dev.jacquard.session.Jacquard#open} gives a {@link dev.jacquard.session.Model}, whose
 * {@link dev.jacquard.session.Session}s generate {@link dev.jacquard.session.GenerationStream}s of
 * {@link dev.jacquard.session.GenerationEvent}s.
 *
 * <h2>Threads</h2>
 *
 * <ul>
 *   <li>Each model has one engine thread (a daemon). It alone runs the backend and touches keys and
 *       values; it serves all sessions, step by step. No code of the caller runs on it.
 *   <li>{@code Model}: any thread. {@code close} waits for the engine.
 *   <li>{@code Session}: one thread at a time, and one generation at a time; only {@code position}
 *       and {@code close} may be called by any thread at any time. A second call while a generation
 *       or another call is under way is an {@link java.lang.IllegalStateException}, not a wait.
 *   <li>{@code GenerationStream}: one thread reads; {@code cancel} and {@code close} may be called
 *       by any thread.
 *   <li>{@code Session.evaluate} calls its consumer on the calling thread, and {@code
 *       ModelOptions.progress} is called on the thread that opens the model.
 *   <li>Queues between threads are bounded. A reader that falls behind stops its own generation
 *       until it reads on; the engine never waits for one. An idle engine sleeps.
 *   <li>Platform and virtual threads may call. Waiting calls can be interrupted only where their
 *       documentation says so.
 * </ul>
 *
 * <h2>Closing</h2>
 *
 * <p>Whoever opened a model, session or stream closes it; twice does nothing. Closing a model ends
 * its sessions' generations as cancelled. Everything but asking for a position fails with an {@link
 * java.lang.IllegalStateException} after that.
 */
@NullMarked
package dev.jacquard.session;

import org.jspecify.annotations.NullMarked;
