/** Model files, tokenizers, architectures, sampling and sessions: what users of the library see. */
@SuppressWarnings("requires-automatic") // EJML names no module
module dev.jacquard.runtime {
  requires transitive dev.jacquard.attention;
  requires ejml.core;
  requires ejml.ddense;
  requires jdk.jfr;
  // The first brings the second wherever there is one: Java sources are parsed by the compiler.
  requires java.compiler;
  requires static jdk.compiler;

  exports dev.jacquard.modelfile;
  exports dev.jacquard.tokenizer;
  exports dev.jacquard.architecture;
  exports dev.jacquard.sampling;
  exports dev.jacquard.evaluation;
  exports dev.jacquard.evaluation.attention;
  exports dev.jacquard.calibration;
  exports dev.jacquard.quantization;
  exports dev.jacquard.kvstore;
  exports dev.jacquard.pruning;
  exports dev.jacquard.repository;
  exports dev.jacquard.context;
  exports dev.jacquard.session;
}
