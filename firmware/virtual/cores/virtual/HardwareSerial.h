#pragma once
#include "Stream.h"

#define SERIAL_8N1 0x800001c

// HardwareSerial: the first port is the process's standard input and output,
// the others are not connected.
class HardwareSerial : public Stream {
 public:
  explicit HardwareSerial(int port) : port_(port) {}
  void begin(unsigned long baud, uint32_t config = SERIAL_8N1, int8_t rx = -1, int8_t tx = -1);
  void end() { flush(); }
  void setDebugOutput(bool) {}
  explicit operator bool() const { return true; }

  int available() override;
  int read() override;
  int peek() override;
  size_t write(uint8_t c) override { return write(&c, 1); }
  size_t write(const uint8_t *data, size_t size) override;
  using Print::write;
  int availableForWrite() override { return 128; }
  void flush() override;

 private:
  int port_;
  int peeked_ = -1;
};

extern HardwareSerial Serial;
extern HardwareSerial Serial1;
extern HardwareSerial Serial2;
