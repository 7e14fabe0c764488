#pragma once
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "Printable.h"
#include "WString.h"

#define DEC 10
#define HEX 16
#define OCT 8
#define BIN 2

struct tm;

// Print writes values as text; a device only has to write bytes.
class Print {
 public:
  virtual ~Print() {}
  virtual size_t write(uint8_t c) = 0;
  virtual size_t write(const uint8_t *data, size_t size);
  size_t write(const char *s) { return s ? write(reinterpret_cast<const uint8_t *>(s), strlen(s)) : 0; }
  size_t write(const char *data, size_t size) { return write(reinterpret_cast<const uint8_t *>(data), size); }
  // Numbers would be ambiguous.
  size_t write(int c) { return write(uint8_t(c)); }
  size_t write(unsigned int c) { return write(uint8_t(c)); }
  size_t write(long c) { return write(uint8_t(c)); }
  size_t write(unsigned long c) { return write(uint8_t(c)); }
  size_t write(char c) { return write(uint8_t(c)); }
  virtual int availableForWrite() { return 0; }
  virtual void flush() {}

  int getWriteError() const { return write_error_; }
  void clearWriteError() { write_error_ = 0; }

  size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
  size_t printf(const __FlashStringHelper *format, ...);
  size_t vprintf(const char *format, va_list args);

  size_t print(const __FlashStringHelper *s) { return write(reinterpret_cast<const char *>(s)); }
  size_t print(const String &s) { return write(s.c_str(), s.length()); }
  size_t print(const char *s) { return write(s); }
  size_t print(char c) { return write(uint8_t(c)); }
  size_t print(unsigned char value, int base = DEC) { return print((unsigned long long)value, base); }
  size_t print(int value, int base = DEC) {
    return base == DEC ? print((long long)value) : print((unsigned long long)(unsigned int)value, base);
  }
  size_t print(unsigned int value, int base = DEC) { return print((unsigned long long)value, base); }
  size_t print(long value, int base = DEC) { return print((long long)value, base); }
  size_t print(unsigned long value, int base = DEC) { return print((unsigned long long)value, base); }
  size_t print(long long value, int base = DEC);
  size_t print(unsigned long long value, int base = DEC);
  size_t print(double value, int places = 2);
  size_t print(const Printable &p) { return p.printTo(*this); }
  size_t print(struct tm *time, const char *format = nullptr);

  size_t println() { return write("\r\n", 2); }
  template <typename T>
  size_t println(const T &value) {
    size_t n = print(value);
    return n + println();
  }
  template <typename T, typename F>
  size_t println(const T &value, F format) {
    size_t n = print(value, format);
    return n + println();
  }
  size_t println(struct tm *time, const char *format = nullptr) {
    size_t n = print(time, format);
    return n + println();
  }

 protected:
  void setWriteError(int error = 1) { write_error_ = error; }

 private:
  int write_error_ = 0;
};
