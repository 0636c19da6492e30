/** The paged key/value cache and the policies that decide how closely it is read. */
module dev.jacquard.attention {
  requires transitive dev.jacquard.kernels;

  exports dev.jacquard.attention;
}
