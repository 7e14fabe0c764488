// flota::Network of a virtual board: sockets by board.h, TLS by mbedTLS.
#pragma once
#if defined(FLOTA_VIRTUAL)

#include "../flota/ports.h"

namespace flota {

class PosixNetwork final : public Network {
 public:
  // pace divides the times that the agent waits for; see Pace in machine.cpp.
  PosixNetwork(Storage &storage, unsigned pace) : storage_(storage), pace_(pace) {}
  ~PosixNetwork() override { close(); }
  PosixNetwork(const PosixNetwork &) = delete;
  PosixNetwork &operator=(const PosixNetwork &) = delete;

  // ready joins the networks in the storage, in their order, where the sketch joined
  // none; one that is not there is asked for again every 5 s.
  bool ready() override;
  const char *state() override;
  void address(char *text, size_t room) override;
  bool open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) override;
  bool write(const uint8_t *data, size_t size, uint32_t timeout_ms) override;
  int read(uint8_t *data, size_t size, uint32_t timeout_ms) override;
  void close() override;
  bool untrusted() override { return untrusted_; }
  void reload() override;

 private:
  struct Tls;

  void join();
  void deadline(uint32_t timeout_ms);
  bool await(short events);
  bool handshake(const char *host, const char *ca);
  static int tls_send(void *self, const unsigned char *data, size_t size);
  static int tls_receive(void *self, unsigned char *data, size_t size);

  Storage &storage_;
  const unsigned pace_;
  int socket_ = -1;
  Tls *tls_ = nullptr;
  uint64_t deadline_ = 0;  // microseconds since the start
  uint64_t join_at_ = 0;
  bool untrusted_ = false;
};

}  // namespace flota

#endif
