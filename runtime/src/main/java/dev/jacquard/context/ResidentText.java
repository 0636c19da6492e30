package dev.jacquard.context;

import dev.jacquard.context.FileSection.Span;
import dev.jacquard.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/** Which token of a context holds a character of a file, of which some sections are resident. */
final class ResidentText {
  private record Place(Span span, TokenOffsets offsets, int first) {}

  private final List<Place> places = new ArrayList<>();

  /**
   * The sections of one file.
   *
   * @param first the context's token with which they begin
   */
  ResidentText(List<FileSection> sections, int first, Tokenizer tokenizer) {
    int at = first;
    for (FileSection section : sections) {
      TokenOffsets offsets = new TokenOffsets(section.text(), section.ids(), tokenizer);
      if (offsets.exact()) {
        for (Span span : section.spans()) {
          places.add(new Place(span, offsets, at));
        }
      }
      at += section.ids().length;
    }
  }

  /**
   * The token with the character at {@code position}, or −1 if it is not resident; positions may
   * not go down.
   */
  int token(int position) {
    for (Place place : places) {
      Span span = place.span();
      if (span.has(position)) {
        return place.first() + place.offsets().token(position - span.start() + span.at());
      }
    }
    return -1;
  }

  /** Whether all characters of a range are resident. */
  boolean has(int start, int end) {
    int at = start;
    for (Place place : places) {
      if (place.span().has(at)) {
        at = place.span().end();
      }
    }
    return at >= end;
  }
}
