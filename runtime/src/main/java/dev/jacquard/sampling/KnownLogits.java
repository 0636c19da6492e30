package dev.jacquard.sampling;

/** Tokens whose logits were computed, where not all were: in ascending order. */
public interface KnownLogits {
  /** How many they are. */
  int count();

  /** Token {@code i} of them. */
  int token(int i);

  /** The logit of token {@code i} of them. */
  float logit(int i);
}
