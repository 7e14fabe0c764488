#pragma once
#include "WString.h"

// base64 as in RFC 4648, padded, without line breaks.
class base64 {
 public:
  static String encode(const uint8_t *data, size_t size);
  static String encode(const String &text) {
    return encode(reinterpret_cast<const uint8_t *>(text.c_str()), text.length());
  }
};
