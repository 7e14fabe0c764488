#include "Print.h"

#include <stdarg.h>
#include <stdlib.h>

size_t Print::write(const uint8_t *data, size_t size) {
  size_t n = 0;
  while (n < size && write(data[n])) n++;
  return n;
}

size_t Print::printf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = nullptr;
  int length = vasprintf(&text, format, args);
  va_end(args);
  if (length < 0) return 0;
  size_t n = write(text, length);
  free(text);
  return n;
}
