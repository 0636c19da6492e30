package dev.jacquard.kvstore;

import dev.jacquard.kernels.RotaryEmbedding;
import java.util.stream.IntStream;

/**
 * Turns keys to consecutive positions as {@code Op.Rope} does: angles, cosines and sines in double
 * precision, rounded to float.
 */
final class RotationTable {
  private final RotaryEmbedding rotary;
  private final int firstPosition;
  private final int pairs;
  private final float[] cosines;
  private final float[] sines;

  /** A table of {@code count} positions. */
  RotationTable(RotaryEmbedding rotary, int firstPosition, int count) {
    this.rotary = rotary;
    this.firstPosition = firstPosition;
    double[] frequencies = rotary.frequencies();
    pairs = frequencies.length;
    cosines = new float[count * pairs];
    sines = new float[count * pairs];
    IntStream.range(0, count).parallel().forEach(i -> fill(i, frequencies));
  }

  private void fill(int i, double[] frequencies) {
    for (int j = 0; j < pairs; j++) {
      double angle = (firstPosition + i) * frequencies[j];
      cosines[i * pairs + j] = (float) (Math.cos(angle) * rotary.amplitude());
      sines[i * pairs + j] = (float) (Math.sin(angle) * rotary.amplitude());
    }
  }

  /** Turns the head at {@code x[at …]} to {@code position}. */
  void turn(float[] x, int at, int position) {
    int base = (position - firstPosition) * pairs;
    switch (rotary.pairing()) {
      case HALVES -> {
        for (int j = 0; j < pairs; j++) {
          float cosine = cosines[base + j];
          float sine = sines[base + j];
          float first = x[at + j];
          float second = x[at + pairs + j];
          x[at + j] = first * cosine - second * sine;
          x[at + pairs + j] = second * cosine + first * sine;
        }
      }
      case NEIGHBOURS -> {
        for (int j = 0; j < pairs; j++) {
          float cosine = cosines[base + j];
          float sine = sines[base + j];
          float first = x[at + 2 * j];
          float second = x[at + 2 * j + 1];
          x[at + 2 * j] = first * cosine - second * sine;
          x[at + 2 * j + 1] = second * cosine + first * sine;
        }
      }
    }
  }
}
