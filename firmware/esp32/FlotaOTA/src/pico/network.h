// flota::Network on a Pico: TCP of lwIP over whatever interface is up, TLS by BearSSL.
#pragma once
#if defined(ARDUINO_ARCH_RP2040)

#include <lwip/ip_addr.h>

#include "../flota/ports.h"
#include "station.h"

struct tcp_pcb;
struct pbuf;

namespace flota {

// PicoNetwork is for the agent's thread alone, but for state, address and reload. It has no use for WiFiClientSecure,
// whose stack all connections have in common: the sketch may be on it when it is the agent's turn.
class PicoNetwork final : public Network {
 public:
  explicit PicoNetwork(Storage &storage) : station_(storage) {}
  ~PicoNetwork() override { close(); }
  PicoNetwork(const PicoNetwork &) = delete;
  PicoNetwork &operator=(const PicoNetwork &) = delete;

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
  struct Callbacks;

  void deadline(uint32_t timeout_ms);
  bool pause();
  bool resolve(const char *host, ip_addr_t *address);
  bool connect(const char *host, uint16_t port);
  bool set_clock(const char *host);
  bool handshake(const char *host, const char *ca);
  bool pump(unsigned until);
  bool send(const uint8_t *data, size_t size);
  int receive(uint8_t *data, size_t size);

  Station station_;
  Tls *tls_ = nullptr;
  uint64_t deadline_ = 0;  // microseconds since the start
  bool untrusted_ = false;

  // What lwIP calls back about, with the lock.
  tcp_pcb *pcb_ = nullptr;
  pbuf *in_ = nullptr;
  bool connected_ = false, closed_ = false;
  uintptr_t question_ = 0;  // the name that is being looked up
  bool answered_ = false, found_ = false;
  ip_addr_t found_address_;
};

}  // namespace flota

#endif
