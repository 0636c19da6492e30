package dev.jacquard.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Converters of option values, each of which says what it allows. */
final class Numbers {
  private Numbers() {}

  /** 1 or more. */
  static final class Positive implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int) integer(value, 1, Integer.MAX_VALUE, "a whole number of at least 1");
    }
  }

  /** 1 to 1024. */
  static final class Threads implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int) integer(value, 1, 1024, "a whole number from 1 to 1024");
    }
  }

  /** 0 or more. */
  static final class NotNegative implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int) integer(value, 0, Integer.MAX_VALUE, "a whole number of at least 0");
    }
  }

  /** A number of tokens, or -1 for no limit. */
  static final class Limit implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int)
          integer(value, -1, Integer.MAX_VALUE, "a whole number of at least 0, or -1 for no limit");
    }
  }

  /** A seed, or -1 for a random one. */
  static final class Seed implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return integer(value, -1, Long.MAX_VALUE, "a whole number of at least 0, or -1 for random");
    }
  }

  /** A share, 0 to 1. */
  static final class Share implements ITypeConverter<Float> {
    @Override
    public Float convert(String value) {
      return (float) number(value, 0, 1, "a number from 0 to 1");
    }
  }

  /** A finite number of at least 0. */
  static final class FiniteNotNegative implements ITypeConverter<Double> {
    @Override
    public Double convert(String value) {
      return number(value, 0, Float.MAX_VALUE, "a finite number of at least 0");
    }
  }

  /** A finite number above 0. */
  static final class FinitePositive implements ITypeConverter<Double> {
    @Override
    public Double convert(String value) {
      return number(value, Float.MIN_NORMAL, Float.MAX_VALUE, "a finite number above 0");
    }
  }

  private static long integer(String value, long least, long most, String allowed) {
    try {
      long number = Long.parseLong(value.strip());
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Reported below, as every other value that is not allowed.
    }
    throw new TypeConversionException("expected " + allowed + ", not '" + value + "'");
  }

  private static double number(String value, double least, double most, String allowed) {
    try {
      double number = Double.parseDouble(value.strip());
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Reported below, as every other value that is not allowed.
    }
    throw new TypeConversionException("expected " + allowed + ", not '" + value + "'");
  }
}
