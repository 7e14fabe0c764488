#pragma once
#include "Print.h"

// Stream also reads; what waits gives up after the timeout.
class Stream : public Print {
 public:
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;

  void setTimeout(unsigned long ms) { timeout_ = ms; }
  unsigned long getTimeout() const { return timeout_; }

  virtual size_t readBytes(char *to, size_t size);
  size_t readBytes(uint8_t *to, size_t size) { return readBytes(reinterpret_cast<char *>(to), size); }
  size_t readBytesUntil(char end, char *to, size_t size);
  String readString();
  String readStringUntil(char end);
  bool find(const char *target);
  long parseInt();
  float parseFloat();

 protected:
  // One byte, waiting for it at most the timeout; -1 when none came.
  int timedRead();
  int timedPeek();

 private:
  String readNumber(bool point);
  unsigned long timeout_ = 1000;
};
