/** Mapped files, aligned workspaces and memory limits: the lowest room. */
module dev.jacquard.memory {
  requires static transitive org.jspecify;

  exports dev.jacquard.memory;
}
