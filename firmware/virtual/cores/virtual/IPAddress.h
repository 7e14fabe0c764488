#pragma once
#include "Print.h"

// IPAddress is an IPv4 address.
class IPAddress : public Printable {
 public:
  IPAddress() : octets_{0, 0, 0, 0} {}
  IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d) : octets_{a, b, c, d} {}
  // As in memory: the first octet is the lowest byte.
  IPAddress(uint32_t address) { memcpy(octets_, &address, 4); }
  IPAddress(const uint8_t *octets) { memcpy(octets_, octets, 4); }

  bool fromString(const char *text);
  bool fromString(const String &text) { return fromString(text.c_str()); }
  operator uint32_t() const {
    uint32_t address;
    memcpy(&address, octets_, 4);
    return address;
  }
  uint8_t operator[](int i) const { return octets_[i]; }
  uint8_t &operator[](int i) { return octets_[i]; }
  bool operator==(const IPAddress &o) const { return memcmp(octets_, o.octets_, sizeof octets_) == 0; }
  bool operator!=(const IPAddress &o) const { return !(*this == o); }
  bool operator==(const uint8_t *o) const { return memcmp(octets_, o, sizeof octets_) == 0; }
  String toString() const;
  size_t printTo(Print &p) const override;

 private:
  uint8_t octets_[4];
};

#define INADDR_NONE IPAddress(0, 0, 0, 0)
