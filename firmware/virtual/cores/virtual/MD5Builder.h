#pragma once
#include "WString.h"

class Stream;

// MD5Builder hashes what is added between begin and calculate.
class MD5Builder {
 public:
  void begin();
  void add(const uint8_t *data, size_t size);
  void add(const char *text) { add(reinterpret_cast<const uint8_t *>(text), strlen(text)); }
  void add(const String &text) { add(text.c_str()); }
  bool addStream(Stream &stream, size_t size);
  void calculate();
  void getBytes(uint8_t *digest) const { memcpy(digest, state_, 16); }
  void getChars(char *hex) const;  // 33 bytes
  String toString() const;

 private:
  void block(const uint8_t *data);
  uint32_t state_[4];
  uint64_t size_;
  uint8_t buffer_[64];
};
