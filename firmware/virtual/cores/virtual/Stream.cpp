#include "Stream.h"

#include <ctype.h>

#include "Arduino.h"

int Stream::timedPeek() {
  for (unsigned long start = millis();; delay(1)) {
    int c = peek();
    if (c >= 0 || millis() - start >= _timeout) return c;
  }
}

int Stream::timedRead() {
  int c = timedPeek();
  if (c >= 0) read();
  return c;
}

size_t Stream::readBytes(char *to, size_t size) {
  size_t n = 0;
  for (int c; n < size && (c = timedRead()) >= 0;) to[n++] = c;
  return n;
}

size_t Stream::readBytesUntil(char end, char *to, size_t size) {
  size_t n = 0;
  for (int c; n < size && (c = timedRead()) >= 0 && c != (unsigned char)end;) to[n++] = c;
  return n;
}

String Stream::readString() {
  String s;
  for (int c; (c = timedRead()) >= 0;) s += (char)c;
  return s;
}

String Stream::readStringUntil(char end) {
  String s;
  for (int c; (c = timedRead()) >= 0 && c != (unsigned char)end;) s += (char)c;
  return s;
}

bool Stream::findUntil(const char *target, size_t length, const char *end, size_t endLength) {
  String seen;
  size_t longest = length > endLength ? length : endLength;
  auto at_end = [&](const char *text, size_t n) {
    return n && seen.length() >= n && memcmp(seen.c_str() + seen.length() - n, text, n) == 0;
  };
  if (length == 0) return true;
  for (int c; (c = timedRead()) >= 0;) {
    seen += (char)c;
    if (seen.length() > longest) seen.remove(0, 1);
    if (at_end(target, length)) return true;
    if (at_end(end, endLength)) return false;
  }
  return false;
}

String Stream::readNumber(LookaheadMode mode, char ignore, bool point) {
  String s;
  int c;
  while ((c = timedPeek()) >= 0 && c != '-' && !isdigit(c) && !(point && c == '.')) {
    if (mode == SKIP_NONE || (mode == SKIP_WHITESPACE && !isspace(c))) return s;
    read();
  }
  while ((c = timedPeek()) >= 0 && (isdigit(c) || (c == '-' && s.isEmpty()) || (c == '.' && point) ||
                                    (ignore != NO_IGNORE_CHAR && c == ignore))) {
    if (c == '.') point = false;
    read();
    if (ignore == NO_IGNORE_CHAR || c != ignore) s += (char)c;
  }
  return s;
}

long Stream::parseInt(LookaheadMode mode, char ignore) { return readNumber(mode, ignore, false).toInt(); }
float Stream::parseFloat(LookaheadMode mode, char ignore) { return readNumber(mode, ignore, true).toFloat(); }
