#pragma once
#include "Print.h"

class IPAddress : public Printable {
 public:
  IPAddress(uint8_t a = 0, uint8_t b = 0, uint8_t c = 0, uint8_t d = 0) : octets_{a, b, c, d} {}
  bool fromString(const char *text) {
    IPAddress a;
    if (sscanf(text, "%hhu.%hhu.%hhu.%hhu", &a[0], &a[1], &a[2], &a[3]) != 4) return false;
    *this = a;
    return true;
  }
  uint8_t operator[](int i) const { return octets_[i]; }
  uint8_t &operator[](int i) { return octets_[i]; }
  bool operator==(const IPAddress &o) const { return memcmp(octets_, o.octets_, sizeof octets_) == 0; }
  bool operator!=(const IPAddress &o) const { return !(*this == o); }
  String toString() const {
    char text[16];
    snprintf(text, sizeof text, "%u.%u.%u.%u", octets_[0], octets_[1], octets_[2], octets_[3]);
    return text;
  }
  size_t printTo(Print &p) const override { return p.print(toString()); }

 private:
  uint8_t octets_[4];
};
