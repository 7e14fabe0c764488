#pragma once
#include <Arduino.h>

// TwoWire is an I2C bus with nothing connected: no address answers.
class TwoWire : public Stream {
 public:
  explicit TwoWire(uint8_t bus) { (void)bus; }
  bool setPins(int, int) { return true; }
  bool begin(int = -1, int = -1, uint32_t = 0) { return true; }
  bool begin(uint8_t, int, int, uint32_t) { return true; }  // as a device
  bool end() { return true; }
  bool setClock(uint32_t hz) { return clock_ = hz, true; }
  uint32_t getClock() const { return clock_; }
  void setTimeOut(uint16_t) {}
  void onReceive(void (*)(int)) {}
  void onRequest(void (*)()) {}

  void beginTransmission(int) {}
  // 2: nobody acknowledged the address.
  uint8_t endTransmission(bool = true) { return 2; }
  size_t requestFrom(int, int, int = true) { return 0; }

  size_t write(uint8_t) override { return 1; }
  size_t write(const uint8_t *, size_t size) override { return size; }
  using Print::write;
  int available() override { return 0; }
  int read() override { return -1; }
  int peek() override { return -1; }

 private:
  uint32_t clock_ = 100000;
};

extern TwoWire Wire;
extern TwoWire Wire1;
