#include "Print.h"

#include <stdlib.h>
#include <time.h>

size_t Print::write(const uint8_t *data, size_t size) {
  size_t n = 0;
  while (n < size && write(data[n])) n++;
  return n;
}

size_t Print::vprintf(const char *format, va_list args) {
  char small[128], *text = small;
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(small, sizeof small, format, args);
  if (length >= int(sizeof small) && (text = static_cast<char *>(malloc(length + 1))))
    vsnprintf(text, length + 1, format, again);
  va_end(again);
  if (length < 0 || !text) return 0;
  size_t n = write(text, length);
  if (text != small) free(text);
  return n;
}

size_t Print::printf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  size_t n = vprintf(format, args);
  va_end(args);
  return n;
}

size_t Print::printf(const __FlashStringHelper *format, ...) {
  va_list args;
  va_start(args, format);
  size_t n = vprintf(reinterpret_cast<const char *>(format), args);
  va_end(args);
  return n;
}

size_t Print::print(unsigned long long value, int base) {
  if (base == 0) return write(uint8_t(value));
  if (base < 2 || base > 36) base = DEC;
  char text[65], *p = text + sizeof text;
  do *--p = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value % base];
  while (value /= base);
  return write(p, text + sizeof text - p);
}

size_t Print::print(long long value, int base) {
  if (base != DEC || value >= 0) return print((unsigned long long)value, base);
  size_t n = write('-');
  return n + print(0ULL - value, base);
}

size_t Print::print(double value, int places) {
  char text[400];
  if (places < 0) places = 2;
  int n = snprintf(text, sizeof text, "%.*f", places < 64 ? places : 64, value);
  return n > 0 ? write(text, n) : 0;
}

size_t Print::print(struct tm *time, const char *format) {
  char text[128];
  size_t n = strftime(text, sizeof text, format ? format : "%c", time);
  return write(text, n);
}
