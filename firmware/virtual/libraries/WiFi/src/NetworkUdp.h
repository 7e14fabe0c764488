#pragma once
#include <Arduino.h>

// NetworkUDP sends nowhere, and nothing comes.
class NetworkUDP : public UDP {
 public:
  uint8_t begin(uint16_t port) override { return port_ = port, 1; }
  uint8_t begin(IPAddress, uint16_t port) { return begin(port); }
  uint8_t beginMulticast(IPAddress, uint16_t port) override { return begin(port); }
  void stop() override { port_ = 0; }
  int beginPacket() { return 1; }
  int beginPacket(IPAddress, uint16_t) override { return 1; }
  int beginPacket(const char *, uint16_t) override { return 1; }
  int beginMulticastPacket() { return 1; }
  int endPacket() override { return 1; }
  size_t write(uint8_t) override { return 1; }
  size_t write(const uint8_t *, size_t size) override { return size; }
  using Print::write;
  int parsePacket() override { return 0; }
  int available() override { return 0; }
  int read() override { return -1; }
  int read(unsigned char *, size_t) override { return 0; }
  int read(char *, size_t) override { return 0; }
  int peek() override { return -1; }
  IPAddress remoteIP() override { return IPAddress(); }
  uint16_t remotePort() override { return 0; }
  uint16_t localPort() { return port_; }

 private:
  uint16_t port_ = 0;
};

typedef NetworkUDP WiFiUDP;
