// gzip (RFC 1952) of bytes in memory: the program that is kept takes three quarters of its size, and
// arduino-pico's bootloader unpacks it. Fixed codes (RFC 1951, 3.2.6), and of what was there before, the last
// that began with the same three bytes: small, and fast enough.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

class Packer {
 public:
  // Sink takes the packed bytes, in order; false ends it.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual bool take(const uint8_t *data, size_t size) = 0;
  };

  explicit Packer(Sink &sink) : sink_(sink) {}

  // pack allocates 8 KiB for as long as it lasts; false where there are none, or where the sink says so.
  bool pack(const uint8_t *data, uint32_t size);

 private:
  void bits(uint32_t value, int count);
  void code(uint32_t value, int count);
  void literal(uint32_t symbol);
  void match(uint32_t length, uint32_t distance);
  void byte(uint8_t b);
  void number(uint32_t value);
  void flush();

  Sink &sink_;
  uint8_t out_[256];
  size_t size_ = 0;
  uint32_t pending_ = 0;
  int pending_bits_ = 0;
  bool good_ = true;
};

}  // namespace flota
