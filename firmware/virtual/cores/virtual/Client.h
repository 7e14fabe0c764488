#pragma once
#include "IPAddress.h"
#include "Stream.h"

// Client is a connection, whatever it goes over.
class Client : public Stream {
 public:
  virtual int connect(IPAddress ip, uint16_t port) = 0;
  virtual int connect(const char *host, uint16_t port) = 0;
  virtual size_t write(uint8_t c) = 0;
  virtual size_t write(const uint8_t *data, size_t size) = 0;
  using Print::write;
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int read(uint8_t *to, size_t size) = 0;
  virtual int peek() = 0;
  virtual void flush() = 0;
  virtual void stop() = 0;
  virtual uint8_t connected() = 0;
  virtual operator bool() = 0;

 protected:
  uint8_t *rawIPAddress(IPAddress &address) { return &address[0]; }
};
