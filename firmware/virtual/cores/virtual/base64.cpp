#include "base64.h"

String base64::encode(const uint8_t *data, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  String text;
  text.reserve((size + 2) / 3 * 4);
  for (size_t i = 0; i < size; i += 3) {
    uint32_t bits = data[i] << 16 | (i + 1 < size ? data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
    text += digits[bits >> 18];
    text += digits[bits >> 12 & 63];
    text += i + 1 < size ? digits[bits >> 6 & 63] : '=';
    text += i + 2 < size ? digits[bits & 63] : '=';
  }
  return text;
}
