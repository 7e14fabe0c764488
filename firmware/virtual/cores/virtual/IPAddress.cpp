#include "IPAddress.h"

bool IPAddress::fromString(const char *text) {
  unsigned o[4];
  char end;
  if (!text || sscanf(text, "%3u.%3u.%3u.%3u%c", o, o + 1, o + 2, o + 3, &end) != 4) return false;
  for (unsigned octet : o)
    if (octet > 255) return false;
  for (int i = 0; i < 4; i++) octets_[i] = o[i];
  return true;
}

String IPAddress::toString() const {
  char text[16];
  snprintf(text, sizeof text, "%u.%u.%u.%u", octets_[0], octets_[1], octets_[2], octets_[3]);
  return text;
}

size_t IPAddress::printTo(Print &p) const { return p.print(toString()); }
