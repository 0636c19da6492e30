/** Ops, programs and the backends that run them on a CPU. */
module dev.jacquard.kernels {
  requires transitive dev.jacquard.quantization;
  requires jdk.incubator.vector;

  exports dev.jacquard.kernels;

  uses dev.jacquard.kernels.BackendProvider;
}
