// Texts as the agent handles them: views of a buffer, hex, base64.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace flota {

// Text is a view of somebody's buffer. What Json decoded has a NUL behind it.
struct Text {
  const char *data = "";
  size_t size = 0;

  Text() = default;
  Text(const char *begin, size_t length) : data(begin), size(length) {}
  Text(const char *c) : data(c), size(strlen(c)) {}  // NOLINT: a literal is a text

  bool empty() const { return size == 0; }
  bool operator==(const Text &other) const { return size == other.size && memcmp(data, other.data, size) == 0; }
  bool operator!=(const Text &other) const { return !(*this == other); }
  bool starts(Text prefix) const { return size >= prefix.size && memcmp(data, prefix.data, prefix.size) == 0; }
  bool consists_of(bool (*allowed)(char)) const;
};

// copy writes as much of a text as fits, never half a character, and a NUL.
void copy(Text text, char *to, size_t room);

// printable copies a text of at most kMaxText characters for a report: control
// characters are left out.
void printable(Text text, char *to, size_t room);

// valid_utf8 tells whether these bytes are UTF-8 (RFC 3629).
bool valid_utf8(Text text);

// hex writes 2 * size lower-case digits and a NUL.
void hex(const uint8_t *data, size_t size, char *text);
// unhex reads lower-case digits only; false for any other text than 2 * size of them.
bool unhex(Text text, uint8_t *data, size_t size);

// unbase64 decodes standard padded base64 (RFC 4648, section 4) strictly; data may be
// the text itself. It returns the number of bytes, or -1.
int unbase64(Text text, uint8_t *data, size_t room);

// decimal writes a number and a NUL, at most 21 bytes, and returns its length.
size_t decimal(int64_t number, char *text);
// number reads 1 to 16 decimal digits, up to 2^53; -1 for anything else.
int64_t number(Text text);

// wipe overwrites a secret, whatever the optimizer thinks of it.
void wipe(void *secret, size_t size);

// same compares two MACs in a time that tells nothing.
bool same(const uint8_t *a, const uint8_t *b, size_t size);

}  // namespace flota
