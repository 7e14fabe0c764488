#pragma once
#include <NetworkClient.h>

// NetworkClientSecure is a TLS connection. It connects only after one of setCACert, setCACertBundle and
// setInsecure. Texts are PEM and must live as long as it does.
class NetworkClientSecure : public NetworkClient {
 public:
  NetworkClientSecure() {}
  NetworkClientSecure(const NetworkClientSecure &) = delete;
  NetworkClientSecure &operator=(const NetworkClientSecure &) = delete;
  ~NetworkClientSecure() { stop(); }

  void setInsecure() { insecure_ = true, ca_ = nullptr, roots_ = false; }
  void setCACert(const char *pem) { ca_ = pem, insecure_ = roots_ = false; }
  // The machine's own roots, whatever is given.
  void setCACertBundle(const uint8_t *, size_t = 0) { roots_ = true, insecure_ = false; }
  void setCertificate(const char *pem) { certificate_ = pem; }
  void setPrivateKey(const char *pem) { key_ = pem; }
  void setHandshakeTimeout(unsigned long seconds) { handshake_s_ = seconds; }
  int lastError(char *text, size_t size);

  int connect(const char *host, uint16_t port, int32_t timeout_ms) override;
  using NetworkClient::connect;
  size_t write(const uint8_t *data, size_t size) override;
  using NetworkClient::write;
  int available() override;
  int read(uint8_t *to, size_t size) override;
  int read() override;
  int peek() override;
  uint8_t connected() override;
  void stop() override;

 private:
  struct Session;
  bool handshake(const char *host);
  Session *session_ = nullptr;
  const char *ca_ = nullptr, *certificate_ = nullptr, *key_ = nullptr;
  bool insecure_ = false, roots_ = false;
  unsigned long handshake_s_ = 120;
  int error_ = 0, peeked_ = -1;
};

typedef NetworkClientSecure WiFiClientSecure;
