#include "WString.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

const String emptyString;

namespace {

// Enough for 64 binary digits, a sign and the end.
struct Digits {
  char text[66];
  Digits(unsigned long long value, bool negative, unsigned char base) {
    if (base < 2 || base > 36) base = 10;
    char *p = text + sizeof text - 1;
    *p = 0;
    do *--p = "0123456789abcdefghijklmnopqrstuvwxyz"[value % base];
    while (value /= base);
    if (negative) *--p = '-';
    memmove(text, p, text + sizeof text - p);
  }
};

Digits digits(long long value, unsigned char base) {
  bool negative = value < 0 && base == 10;
  return Digits(negative ? 0ULL - value : value, negative, base);
}

}  // namespace

String::String(const char *s) { *this = s; }
String::String(const char *s, unsigned int length) {
  concat("", 0);
  concat(s, length);
}
String::String(const String &other) { *this = other; }
String::String(String &&other) noexcept { *this = static_cast<String &&>(other); }
String::String(const __FlashStringHelper *s) { *this = s; }
String::String(char c) { concat(&c, 1); }
String::String(unsigned char value, unsigned char base) { *this = Digits(value, false, base).text; }
String::String(int value, unsigned char base) {
  *this = base == 10 ? digits(value, 10).text : Digits((unsigned int)value, false, base).text;
}
String::String(unsigned int value, unsigned char base) { *this = Digits(value, false, base).text; }
String::String(long value, unsigned char base) { *this = digits(value, base).text; }
String::String(unsigned long value, unsigned char base) { *this = Digits(value, false, base).text; }
String::String(long long value, unsigned char base) { *this = digits(value, base).text; }
String::String(unsigned long long value, unsigned char base) { *this = Digits(value, false, base).text; }
String::String(float value, unsigned int places) : String((double)value, places) {}
String::String(double value, unsigned int places) {
  char text[400];
  snprintf(text, sizeof text, "%.*f", (int)(places < 64 ? places : 64), value);
  *this = text;
}
String::~String() { free(buffer_); }

String &String::operator=(const String &other) {
  if (this == &other) return *this;
  length_ = 0;
  concat(other.c_str(), other.length_);
  return *this;
}

String &String::operator=(String &&other) noexcept {
  if (this == &other) return *this;
  free(buffer_);
  buffer_ = other.buffer_, length_ = other.length_, capacity_ = other.capacity_;
  other.buffer_ = nullptr, other.length_ = other.capacity_ = 0;
  return *this;
}

String &String::operator=(const char *s) {
  if (!s) s = "";
  if (s >= buffer_ && s <= buffer_ + length_) return *this = String(s, strlen(s));  // a part of itself
  length_ = 0;
  concat(s, strlen(s));
  return *this;
}

bool String::reserve(unsigned int size) {
  if (buffer_ && capacity_ >= size) return true;
  char *grown = static_cast<char *>(realloc(buffer_, size + 1));
  if (!grown) return false;
  if (!buffer_) grown[0] = 0;
  buffer_ = grown, capacity_ = size;
  return true;
}

void String::clear() {
  length_ = 0;
  if (buffer_) buffer_[0] = 0;
}

bool String::concat(const char *s, unsigned int length) {
  if (!s) return false;
  if (buffer_ && s >= buffer_ && s < buffer_ + length_) return concat(String(s, length));  // a part of itself
  unsigned int wanted = length_ + length;
  if (!buffer_ || wanted > capacity_) {
    if (!reserve(buffer_ && wanted < 2 * capacity_ ? 2 * capacity_ : wanted)) return false;
  }
  memcpy(buffer_ + length_, s, length);
  length_ = wanted;
  buffer_[length_] = 0;
  return true;
}

bool String::equalsIgnoreCase(const String &s) const {
  return length_ == s.length_ && strncasecmp(c_str(), s.c_str(), length_) == 0;
}

bool String::startsWith(const String &prefix, unsigned int from) const {
  return from + prefix.length_ <= length_ && memcmp(c_str() + from, prefix.c_str(), prefix.length_) == 0;
}

bool String::endsWith(const String &suffix) const {
  return suffix.length_ <= length_ && startsWith(suffix, length_ - suffix.length_);
}

char &String::operator[](unsigned int i) {
  static char nothing;
  if (i < length_) return buffer_[i];
  nothing = 0;
  return nothing;
}

void String::getBytes(unsigned char *to, unsigned int size, unsigned int from) const {
  if (!to || size == 0) return;
  unsigned int n = from < length_ ? length_ - from : 0;
  if (n > size - 1) n = size - 1;
  memcpy(to, c_str() + (from < length_ ? from : length_), n);
  to[n] = 0;
}

int String::indexOf(char c, unsigned int from) const {
  for (unsigned int i = from; i < length_; i++)
    if (buffer_[i] == c) return i;
  return -1;
}

int String::indexOf(const String &s, unsigned int from) const {
  if (from > length_) return -1;
  const char *found = strstr(c_str() + from, s.c_str());
  return found ? found - c_str() : -1;
}

int String::lastIndexOf(char c, unsigned int from) const {
  for (int i = int(from < length_ ? from + 1 : length_) - 1; i >= 0; i--)
    if (buffer_[i] == c) return i;
  return -1;
}

int String::lastIndexOf(const String &s, unsigned int from) const {
  if (s.length_ > length_) return -1;
  unsigned int last = length_ - s.length_;
  for (int i = int(from < last ? from : last); i >= 0; i--)
    if (startsWith(s, i)) return i;
  return -1;
}

bool String::equalsConstantTime(const String &s) const {
  if (length_ != s.length_) return false;
  unsigned char difference = 0;
  for (unsigned int i = 0; i < length_; i++) difference |= buffer_[i] ^ s.buffer_[i];
  return difference == 0;
}

String String::substring(unsigned int from, unsigned int to) const {
  if (from > to) {
    unsigned int swap = from;
    from = to, to = swap;
  }
  if (to > length_) to = length_;
  return from < to ? String(c_str() + from, to - from) : String();
}

void String::replace(char from, char to) {
  for (unsigned int i = 0; i < length_; i++)
    if (buffer_[i] == from) buffer_[i] = to;
}

void String::replace(const String &from, const String &to) {
  if (from.length_ == 0) return;
  String result;
  unsigned int at = 0;
  for (int found; (found = indexOf(from, at)) >= 0; at = found + from.length_) {
    result.concat(c_str() + at, found - at);
    result.concat(to);
  }
  result.concat(c_str() + at, length_ - at);
  *this = static_cast<String &&>(result);
}

void String::remove(unsigned int from, unsigned int count) {
  if (from >= length_) return;
  if (count > length_ - from) count = length_ - from;
  memmove(buffer_ + from, buffer_ + from + count, length_ - from - count + 1);
  length_ -= count;
}

void String::toLowerCase() {
  for (unsigned int i = 0; i < length_; i++) buffer_[i] = tolower((unsigned char)buffer_[i]);
}

void String::toUpperCase() {
  for (unsigned int i = 0; i < length_; i++) buffer_[i] = toupper((unsigned char)buffer_[i]);
}

void String::trim() {
  unsigned int end = length_, start = 0;
  while (end > 0 && isspace((unsigned char)buffer_[end - 1])) end--;
  while (start < end && isspace((unsigned char)buffer_[start])) start++;
  remove(end);
  remove(0, start);
}

long String::toInt() const { return strtol(c_str(), nullptr, 10); }
double String::toDouble() const { return strtod(c_str(), nullptr); }
