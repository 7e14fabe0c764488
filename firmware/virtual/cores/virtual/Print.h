#pragma once
#include <stdint.h>
#include <stdio.h>

#include "Printable.h"
#include "WString.h"

#define DEC 10
#define HEX 16
#define OCT 8
#define BIN 2

// Print writes values as text; a device only has to write bytes.
class Print {
 public:
  virtual ~Print() {}
  virtual size_t write(uint8_t c) = 0;
  virtual size_t write(const uint8_t *data, size_t size);
  size_t write(const char *s) { return s ? write(reinterpret_cast<const uint8_t *>(s), strlen(s)) : 0; }
  size_t write(const char *data, size_t size) { return write(reinterpret_cast<const uint8_t *>(data), size); }
  virtual int availableForWrite() { return 0; }
  virtual void flush() {}

  size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));

  size_t print(const __FlashStringHelper *s) { return write(reinterpret_cast<const char *>(s)); }
  size_t print(const String &s) { return write(s.c_str(), s.length()); }
  size_t print(const char *s) { return write(s); }
  size_t print(char c) { return write(static_cast<uint8_t>(c)); }
  size_t print(unsigned char value, int base = DEC) { return print(String(value, base)); }
  size_t print(int value, int base = DEC) { return print(String(value, base)); }
  size_t print(unsigned int value, int base = DEC) { return print(String(value, base)); }
  size_t print(long value, int base = DEC) { return print(String(value, base)); }
  size_t print(unsigned long value, int base = DEC) { return print(String(value, base)); }
  size_t print(long long value, int base = DEC) { return print(String(value, base)); }
  size_t print(unsigned long long value, int base = DEC) { return print(String(value, base)); }
  size_t print(double value, int places = 2) { return print(String(value, places)); }
  size_t print(const Printable &p) { return p.printTo(*this); }

  size_t println() { return write("\r\n"); }
  template <typename T>
  size_t println(const T &value) {
    size_t n = print(value);
    return n + println();
  }
  template <typename T>
  size_t println(const T &value, int format) {
    size_t n = print(value, format);
    return n + println();
  }
};
