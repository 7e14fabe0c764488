// MD5 as in RFC 1321.
#include "MD5Builder.h"

#include <stdio.h>

#include "Stream.h"

void MD5Builder::begin() {
  static const uint32_t start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  memcpy(state_, start, sizeof state_);
  size_ = 0;
}

void MD5Builder::block(const uint8_t *p) {
  // floor(2^32 · |sin(i + 1)|)
  static const uint32_t k[64] = {
      0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
      0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
      0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
      0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
      0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
      0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
      0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
      0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
  static const uint8_t turns[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};
  uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3], w[16];
  for (int i = 0; i < 16; i++) w[i] = p[4 * i] | p[4 * i + 1] << 8 | p[4 * i + 2] << 16 | uint32_t(p[4 * i + 3]) << 24;
  for (int i = 0; i < 64; i++) {
    uint32_t f;
    int g;
    switch (i / 16) {
      case 0:
        f = (b & c) | (~b & d), g = i;
        break;
      case 1:
        f = (d & b) | (~d & c), g = (5 * i + 1) % 16;
        break;
      case 2:
        f = b ^ c ^ d, g = (3 * i + 5) % 16;
        break;
      default:
        f = c ^ (b | ~d), g = 7 * i % 16;
    }
    uint32_t sum = a + f + k[i] + w[g];
    int turn = turns[i / 16 * 4 + i % 4];
    a = d, d = c, c = b;
    b += sum << turn | sum >> (32 - turn);
  }
  state_[0] += a, state_[1] += b, state_[2] += c, state_[3] += d;
}

void MD5Builder::add(const uint8_t *data, size_t size) {
  while (size) {
    size_t at = size_ % 64, n = 64 - at < size ? 64 - at : size;
    memcpy(buffer_ + at, data, n);
    size_ += n, data += n, size -= n;
    if (at + n == 64) block(buffer_);
  }
}

bool MD5Builder::addStream(Stream &stream, size_t size) {
  uint8_t data[256];
  while (size) {
    size_t n = stream.readBytes(data, size < sizeof data ? size : sizeof data);
    if (n == 0) return false;
    add(data, n);
    size -= n;
  }
  return true;
}

void MD5Builder::calculate() {
  uint64_t bits = size_ * 8;
  const uint8_t one = 0x80, zero = 0;
  add(&one, 1);
  while (size_ % 64 != 56) add(&zero, 1);
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = bits >> 8 * i;
  add(length, 8);
}

void MD5Builder::getChars(char *hex) const {
  for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", state_[i / 4] >> 8 * (i % 4) & 0xff);
}

String MD5Builder::toString() const {
  char hex[33];
  getChars(hex);
  return hex;
}
