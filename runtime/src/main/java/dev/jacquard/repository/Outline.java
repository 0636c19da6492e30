package dev.jacquard.repository;

import java.util.List;

/** What a text declares and what it imports. */
record Outline(List<String> imports, List<Symbol> symbols) {}
