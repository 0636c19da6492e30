package dev.jacquard.kernels;

/**
 * A named place of a program for what {@link Op.SelectPages} chose, as a {@link Slot} is for
 * numbers; layers may use one after the other. Its content on the host is a {@link PageSelection}.
 */
public record PageList(String name) {}
