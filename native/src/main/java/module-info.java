/** Mapped files, aligned workspaces and memory limits: the lowest room. */
module dev.jacquard.memory {
  requires jdk.management;
  requires static transitive org.jspecify;

  exports dev.jacquard.memory;
}
