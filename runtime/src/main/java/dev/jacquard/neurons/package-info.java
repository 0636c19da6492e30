/**
 * Which neurons of feed-forward layers a request computes: policies, and what a prompt says about
 * neurons.
 */
@NullMarked
package dev.jacquard.neurons;

import org.jspecify.annotations.NullMarked;
