// flota::Network on an ESP32: sockets of lwIP over whatever interface is up, TLS by mbedTLS.
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "../flota/ports.h"
#include "station.h"

namespace flota {

class EspNetwork final : public Network {
 public:
  explicit EspNetwork(Storage &storage) : station_(storage) {}
  ~EspNetwork() override { close(); }
  EspNetwork(const EspNetwork &) = delete;
  EspNetwork &operator=(const EspNetwork &) = delete;

  bool ready() override;
  const char *state() override;
  void address(char *text, size_t room) override;
  bool open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) override;
  bool write(const uint8_t *data, size_t size, uint32_t timeout_ms) override;
  int read(uint8_t *data, size_t size, uint32_t timeout_ms) override;
  void close() override;
  bool untrusted() override { return untrusted_; }
  void reload() override { station_.reload(); }

 private:
  struct Tls;

  bool connect(const char *host, uint16_t port);
  bool handshake(const char *host, const char *ca);
  void deadline(uint32_t timeout_ms);
  bool await(bool write);
  static int tls_send(void *self, const unsigned char *data, size_t size);
  static int tls_receive(void *self, unsigned char *data, size_t size);

  Station station_;
  int socket_ = -1;
  Tls *tls_ = nullptr;
  int64_t deadline_ = 0;  // microseconds since the start
  bool untrusted_ = false;
};

}  // namespace flota

#endif
