#include "pack.h"

#include <stdlib.h>
#include <string.h>

namespace flota {

namespace {

constexpr uint32_t kWindow = 32768;  // how far back a match may lie
constexpr uint32_t kLeast = 3, kMost = 258;
constexpr uint32_t kHashBits = 11;
constexpr uint32_t kEnd = 256;

uint32_t hash(const uint8_t *at) {
  return ((uint32_t(at[0]) << 16 | uint32_t(at[1]) << 8 | at[2]) * 2654435761u) >> (32 - kHashBits);
}

uint32_t crc_of(const uint8_t *data, uint32_t size) {
  static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                     0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                     0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFF;
  for (uint32_t i = 0; i < size; i++) {
    crc ^= data[i];
    crc = (crc >> 4) ^ table[crc & 15];
    crc = (crc >> 4) ^ table[crc & 15];
  }
  return ~crc;
}

}  // namespace

void Packer::flush() {
  if (size_ > 0 && good_) good_ = sink_.take(out_, size_);
  size_ = 0;
}

void Packer::byte(uint8_t b) {
  out_[size_++] = b;
  if (size_ == sizeof out_) flush();
}

void Packer::number(uint32_t value) {
  for (int i = 0; i < 4; i++) byte(uint8_t(value >> (8 * i)));
}

// bits go out lowest first.
void Packer::bits(uint32_t value, int count) {
  pending_ |= value << pending_bits_;
  for (pending_bits_ += count; pending_bits_ >= 8; pending_bits_ -= 8) {
    byte(uint8_t(pending_));
    pending_ >>= 8;
  }
}

// A Huffman code goes out highest first.
void Packer::code(uint32_t value, int count) {
  uint32_t turned = 0;
  for (int i = 0; i < count; i++) turned |= ((value >> i) & 1) << (count - 1 - i);
  bits(turned, count);
}

void Packer::literal(uint32_t symbol) {
  if (symbol < 144) return code(0x30 + symbol, 8);
  if (symbol < 256) return code(0x190 + symbol - 144, 9);
  if (symbol < 280) return code(symbol - 256, 7);
  code(0xC0 + symbol - 280, 8);
}

void Packer::match(uint32_t length, uint32_t distance) {
  // Lengths 3 to 257 in groups of 4 symbols that double; 258 has a symbol of its own.
  uint32_t symbol = 285, extra = 0, rest = 0;
  if (length < kMost) {
    uint32_t l = length - kLeast;
    while (extra < 5 && l >= (8u << extra)) extra++;
    rest = l & ((1u << extra) - 1);
    symbol = 257 + 4 * extra + (l >> extra);
  }
  literal(symbol);
  bits(rest, int(extra));
  uint32_t d = distance - 1;
  extra = 0;
  while (d >= (4u << extra)) extra++;
  code(2 * extra + (d >> extra), 5);
  bits(d & ((1u << extra) - 1), int(extra));
}

bool Packer::pack(const uint8_t *data, uint32_t size) {
  static const uint8_t head[] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF};
  // Where three such bytes were last, and 1, since 0 is nowhere.
  struct Seen {
    uint32_t *at = static_cast<uint32_t *>(calloc(size_t(1) << kHashBits, sizeof(uint32_t)));
    ~Seen() { free(at); }
  } table;
  uint32_t *const seen = table.at;
  if (seen == nullptr) return false;
  for (uint8_t b : head) byte(b);
  bits(1, 1);  // the last block
  bits(1, 2);  // of fixed codes
  for (uint32_t at = 0; at < size && good_;) {
    uint32_t length = 0, distance = 0;
    if (size - at >= kLeast) {
      uint32_t &last = seen[hash(data + at)];
      distance = at + 1 - last;
      if (last != 0 && distance <= kWindow) {
        uint32_t most = size - at < kMost ? size - at : kMost;
        while (length < most && data[at - distance + length] == data[at + length]) length++;
      }
      last = at + 1;
    }
    if (length < kLeast) {
      literal(data[at++]);
      continue;
    }
    match(length, distance);
    for (uint32_t end = at + length; ++at < end;) {
      if (size - at >= kLeast) seen[hash(data + at)] = at + 1;
    }
  }
  literal(kEnd);
  bits(0, 7);  // to a whole byte
  number(crc_of(data, size));
  number(size);
  flush();
  return good_;
}

}  // namespace flota
