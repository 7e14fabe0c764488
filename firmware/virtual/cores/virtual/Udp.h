#pragma once
#include "IPAddress.h"
#include "Stream.h"

class UDP : public Stream {
 public:
  virtual uint8_t begin(uint16_t port) = 0;
  virtual uint8_t beginMulticast(IPAddress, uint16_t) { return 0; }
  virtual void stop() = 0;
  virtual int beginPacket(IPAddress ip, uint16_t port) = 0;
  virtual int beginPacket(const char *host, uint16_t port) = 0;
  virtual int endPacket() = 0;
  virtual int parsePacket() = 0;
  virtual int read(unsigned char *to, size_t size) = 0;
  virtual int read(char *to, size_t size) = 0;
  using Stream::read;
  virtual IPAddress remoteIP() = 0;
  virtual uint16_t remotePort() = 0;
};
