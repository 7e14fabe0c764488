#include "Stream.h"

#include <ctype.h>

#include "Arduino.h"

int Stream::timedPeek() {
  for (unsigned long start = millis();; delay(1)) {
    int c = peek();
    if (c >= 0 || millis() - start >= timeout_) return c;
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

bool Stream::find(const char *target) {
  String seen;
  size_t length = strlen(target);
  for (int c; (c = timedRead()) >= 0;) {
    seen += (char)c;
    if (seen.length() > length) seen.remove(0, 1);
    if (seen == target) return true;
  }
  return length == 0;
}

String Stream::readNumber(bool point) {
  int c;
  while ((c = timedPeek()) >= 0 && c != '-' && !isdigit(c)) read();
  String s;
  while ((c = timedPeek()) >= 0 && (isdigit(c) || (c == '-' && s.isEmpty()) || (c == '.' && point))) {
    if (c == '.') point = false;
    s += (char)read();
  }
  return s;
}

long Stream::parseInt() { return readNumber(false).toInt(); }
float Stream::parseFloat() { return readNumber(true).toFloat(); }
