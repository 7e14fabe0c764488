#pragma once
#include "Print.h"

enum LookaheadMode { SKIP_ALL, SKIP_NONE, SKIP_WHITESPACE };
#define NO_IGNORE_CHAR '\x01'

// Stream also reads; what waits gives up after the timeout.
class Stream : public Print {
 public:
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;

  void setTimeout(unsigned long ms) { _timeout = ms; }
  unsigned long getTimeout() const { return _timeout; }

  virtual size_t readBytes(char *to, size_t size);
  virtual size_t readBytes(uint8_t *to, size_t size) { return readBytes(reinterpret_cast<char *>(to), size); }
  size_t readBytesUntil(char end, char *to, size_t size);
  size_t readBytesUntil(char end, uint8_t *to, size_t size) {
    return readBytesUntil(end, reinterpret_cast<char *>(to), size);
  }
  virtual String readString();
  String readStringUntil(char end);
  bool find(const char *target) { return findUntil(target, strlen(target), nullptr, 0); }
  bool find(const char *target, size_t length) { return findUntil(target, length, nullptr, 0); }
  bool find(char target) { return findUntil(&target, 1, nullptr, 0); }
  bool findUntil(const char *target, const char *end) { return findUntil(target, strlen(target), end, strlen(end)); }
  // True when target came, false when end did or nothing more.
  bool findUntil(const char *target, size_t length, const char *end, size_t endLength);
  long parseInt(LookaheadMode mode = SKIP_ALL, char ignore = NO_IGNORE_CHAR);
  float parseFloat(LookaheadMode mode = SKIP_ALL, char ignore = NO_IGNORE_CHAR);

 protected:
  // One byte, waiting for it at most the timeout; -1 when none came.
  int timedRead();
  int timedPeek();
  unsigned long _timeout = 1000;

 private:
  String readNumber(LookaheadMode mode, char ignore, bool point);
};
