#pragma once
#include <Arduino.h>

// NetworkClient is a TCP connection; copies are the same one.
class NetworkClient : public Client {
 public:
  NetworkClient() {}
  explicit NetworkClient(int fd);
  NetworkClient(const NetworkClient &other);
  NetworkClient &operator=(const NetworkClient &other);
  ~NetworkClient();

  int connect(IPAddress ip, uint16_t port) override { return connect(ip, port, connect_ms_); }
  int connect(const char *host, uint16_t port) override { return connect(host, port, connect_ms_); }
  int connect(IPAddress ip, uint16_t port, int32_t timeout_ms);
  virtual int connect(const char *host, uint16_t port, int32_t timeout_ms);
  int connect(const String &host, uint16_t port) { return connect(host.c_str(), port); }

  size_t write(uint8_t c) override { return write(&c, 1); }
  size_t write(const uint8_t *data, size_t size) override;
  size_t write(Stream &stream);
  using Print::write;
  int available() override;
  int read() override;
  int read(uint8_t *to, size_t size) override;
  int read(char *to, size_t size) { return read(reinterpret_cast<uint8_t *>(to), size); }
  // Takes what comes, until the timeout or the end.
  size_t readBytes(char *to, size_t size) override;
  using Stream::readBytes;
  int peek() override;
  void flush() override {}
  void clear();
  void stop() override;
  uint8_t connected() override;
  operator bool() override { return connected(); }
  bool operator==(const NetworkClient &other) const { return socket_ == other.socket_; }
  bool operator!=(const NetworkClient &other) const { return !(*this == other); }

  int fd() const;
  int setNoDelay(bool on);
  bool getNoDelay() { return true; }
  int setOption(int, int *) { return 0; }
  void setConnectionTimeout(uint32_t ms) { connect_ms_ = ms; }
  IPAddress remoteIP() const;
  uint16_t remotePort() const;
  IPAddress localIP() const;
  uint16_t localPort() const;

 protected:
  void release();
  struct Socket;
  Socket *socket_ = nullptr;
  int32_t connect_ms_ = 3000;
};

typedef NetworkClient WiFiClient;
