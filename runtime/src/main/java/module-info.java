/** Model files, tokenizers, architectures, sampling and sessions: what users of the library see. */
module dev.jacquard.runtime {
  requires transitive dev.jacquard.attention;

  exports dev.jacquard.modelfile;
  exports dev.jacquard.tokenizer;
  exports dev.jacquard.architecture;
  exports dev.jacquard.sampling;
  exports dev.jacquard.evaluation;
  exports dev.jacquard.evaluation.attention;
  exports dev.jacquard.session;
}
