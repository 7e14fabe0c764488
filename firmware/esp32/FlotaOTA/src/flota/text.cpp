#include "text.h"

#include "names.h"

namespace flota {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

bool continues(char c) { return (c & 0xc0) == 0x80; }

}  // namespace

bool Text::consists_of(bool (*allowed)(char)) const {
  for (size_t i = 0; i < size; i++) {
    if (!allowed(data[i])) return false;
  }
  return true;
}

void copy(Text text, char *to, size_t room) {
  if (room == 0) return;
  size_t n = text.size < room ? text.size : room - 1;
  if (n < text.size) {
    while (n > 0 && continues(text.data[n])) n--;
  }
  memcpy(to, text.data, n);
  to[n] = 0;
}

void printable(Text text, char *to, size_t room) {
  size_t n = 0, characters = 0;
  for (size_t i = 0, length; i < text.size && characters < kMaxText; i += length) {
    length = 1;
    while (i + length < text.size && continues(text.data[i + length])) length++;
    if (uint8_t(text.data[i]) < ' ' || text.data[i] == 0x7f) continue;
    if (n + length >= room) break;
    memcpy(to + n, text.data + i, length);
    n += length;
    characters++;
  }
  to[n] = 0;
}

bool valid_utf8(Text text) {
  for (size_t i = 0; i < text.size;) {
    const uint8_t *p = reinterpret_cast<const uint8_t *>(text.data) + i;
    size_t left = text.size - i;
    uint32_t code = p[0], low = 0;
    size_t length = 1;
    if (code >= 0x80) {
      if (code >= 0xc2 && code <= 0xdf) {
        length = 2, code &= 0x1f, low = 0x80;
      } else if ((code & 0xf0) == 0xe0) {
        length = 3, code &= 0x0f, low = 0x800;
      } else if (code >= 0xf0 && code <= 0xf4) {
        length = 4, code &= 0x07, low = 0x10000;
      } else {
        return false;
      }
      if (length > left) return false;
      for (size_t k = 1; k < length; k++) {
        if ((p[k] & 0xc0) != 0x80) return false;
        code = code << 6 | (p[k] & 0x3f);
      }
      if (code < low || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    }
    i += length;
  }
  return true;
}

void hex(const uint8_t *data, size_t size, char *text) {
  for (size_t i = 0; i < size; i++) {
    *text++ = "0123456789abcdef"[data[i] >> 4];
    *text++ = "0123456789abcdef"[data[i] & 15];
  }
  *text = 0;
}

bool unhex(Text text, uint8_t *data, size_t size) {
  if (text.size != 2 * size) return false;
  for (size_t i = 0; i < size; i++) {
    int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    data[i] = uint8_t(high << 4 | low);
  }
  return true;
}

int unbase64(Text text, uint8_t *data, size_t room) {
  if (text.size % 4 != 0) return -1;
  size_t n = 0;
  for (size_t i = 0; i < text.size; i += 4) {
    const char *c = text.data + i;
    bool last = i + 4 == text.size;
    int missing = last && c[3] == '=' ? (c[2] == '=' ? 2 : 1) : 0;
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) {
      int digit = k < 4 - missing ? base64_digit(c[k]) : 0;
      if (digit < 0) return -1;
      bits = bits << 6 | uint32_t(digit);
    }
    // The bits that make no byte must be 0.
    if ((missing == 1 && (bits & 0xff) != 0) || (missing == 2 && (bits & 0xffff) != 0)) return -1;
    for (int k = 0; k < 3 - missing; k++) {
      if (n >= room) return -1;
      data[n++] = uint8_t(bits >> (16 - 8 * k));
    }
  }
  return int(n);
}

size_t decimal(int64_t number, char *text) {
  char digits[20];
  size_t n = 0, length = 0;
  uint64_t rest = number < 0 ? 0 - uint64_t(number) : uint64_t(number);
  do {
    digits[n++] = char('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (number < 0) text[length++] = '-';
  while (n > 0) text[length++] = digits[--n];
  text[length] = 0;
  return length;
}

int64_t number(Text text) {
  if (text.size < 1 || text.size > 16) return -1;
  int64_t value = 0;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value <= kMaxNumber ? value : -1;
}

void wipe(void *secret, size_t size) {
  volatile uint8_t *p = static_cast<volatile uint8_t *>(secret);
  for (size_t i = 0; i < size; i++) p[i] = 0;
}

bool same(const uint8_t *a, const uint8_t *b, size_t size) {
  uint8_t different = 0;
  for (size_t i = 0; i < size; i++) different |= uint8_t(a[i] ^ b[i]);
  return different == 0;
}

}  // namespace flota
