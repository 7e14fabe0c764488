#pragma once
#include "Stream.h"

#define SERIAL_5N1 0x8000010
#define SERIAL_6N1 0x8000014
#define SERIAL_7N1 0x8000018
#define SERIAL_8N1 0x800001c
#define SERIAL_8N2 0x800003c
#define SERIAL_8E1 0x800001e
#define SERIAL_8E2 0x800003e
#define SERIAL_8O1 0x800001f
#define SERIAL_8O2 0x800003f

// HardwareSerial: the first port is the board's cable; to the others nothing is connected.
// What is written goes out at once and waits where the line is busy.
class HardwareSerial : public Stream {
 public:
  explicit HardwareSerial(int port) : port_(port) {}
  void begin(unsigned long baud = 115200, uint32_t config = SERIAL_8N1, int8_t rx = -1, int8_t tx = -1,
             bool invert = false, unsigned long timeout_ms = 20000);
  void end() {}
  void updateBaudRate(unsigned long baud) { begin(baud); }
  unsigned long baudRate() const { return baud_; }
  bool setPins(int8_t, int8_t, int8_t = -1, int8_t = -1) { return true; }
  size_t setRxBufferSize(size_t size) { return size; }
  size_t setTxBufferSize(size_t size) { return size; }
  bool setRxFIFOFull(uint8_t) { return true; }
  bool setRxTimeout(uint8_t) { return true; }
  void setDebugOutput(bool) {}
  explicit operator bool() const { return true; }
  // Called in a thread of its own when something has come.
  void onReceive(void (*callback)(), bool onlyOnTimeout = false);

  int available() override;
  int read() override;
  int peek() override;
  size_t read(uint8_t *to, size_t size);
  size_t read(char *to, size_t size) { return read(reinterpret_cast<uint8_t *>(to), size); }
  size_t write(uint8_t c) override { return write(&c, 1); }
  size_t write(const uint8_t *data, size_t size) override;
  using Print::write;
  int availableForWrite() override { return 128; }
  void flush() override {}

 private:
  int port_;
  unsigned long baud_ = 0;
};

extern HardwareSerial Serial;
extern HardwareSerial Serial1;
extern HardwareSerial Serial2;
#define Serial0 Serial
