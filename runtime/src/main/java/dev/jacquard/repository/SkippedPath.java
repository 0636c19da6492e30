package dev.jacquard.repository;

/**
 * Something in a repository that was not read. What ignore rules exclude is not told.
 *
 * @param path relative to the repository, with {@code /}; a folder ends with {@code /}
 * @param reason for people
 */
public record SkippedPath(String path, String reason) {}
