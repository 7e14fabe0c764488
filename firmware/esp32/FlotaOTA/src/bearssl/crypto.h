// flota::Crypto by BearSSL, which arduino-pico ships.
#pragma once

#if defined(ARDUINO_ARCH_RP2040)
#include <bearssl/bearssl.h>
#else
#include <bearssl.h>
#endif

#include "../flota/ports.h"

namespace flota {

// BearsslCrypto allocates nothing. A signature takes about 3 KiB of the stack.
class BearsslCrypto final : public Crypto {
 public:
  void sha256_begin() override;
  void sha256_add(const void *data, size_t size) override;
  void sha256_end(uint8_t digest[32]) override;
  void hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) override;
  bool verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) override;
  bool point(const uint8_t key[65]) override;

 private:
  br_sha256_context sha_;
};

}  // namespace flota
