#pragma once
#include "NetworkClient.h"

// NetworkServer listens on a port: of the machine's loopback, or in a sandbox where the runner looks.
class NetworkServer : public Server {
 public:
  explicit NetworkServer(uint16_t port = 80, uint8_t backlog = 4) : port_(port) { (void)backlog; }
  ~NetworkServer() { end(); }
  NetworkServer(const NetworkServer &) = delete;
  NetworkServer &operator=(const NetworkServer &) = delete;

  void begin(uint16_t port = 0) override;
  void begin(uint16_t port, int) { begin(port); }
  void end();
  void close() { end(); }
  void stop() { end(); }
  NetworkClient accept();
  NetworkClient available() { return accept(); }
  bool hasClient();
  void setNoDelay(bool) {}
  bool getNoDelay() { return true; }
  operator bool() const { return fd_ >= 0; }
  uint16_t port() const { return port_; }

  // To nobody.
  size_t write(uint8_t) override { return 0; }
  size_t write(const uint8_t *, size_t) override { return 0; }
  using Print::write;

 private:
  uint16_t port_;
  int fd_ = -1;
};

typedef NetworkServer WiFiServer;
