/** Tensors and the number formats that store them. */
module dev.jacquard.quantization {
  requires transitive dev.jacquard.memory;

  exports dev.jacquard.tensor;
  exports dev.jacquard.tensor.format;
}
