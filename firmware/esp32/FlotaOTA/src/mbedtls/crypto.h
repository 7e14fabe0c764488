// flota::Crypto by mbedTLS 2.28 and 3.x, which both arduino-esp32 and Debian have.
#pragma once

#include <mbedtls/sha256.h>

#include "../flota/ports.h"

namespace flota {

class MbedtlsCrypto final : public Crypto {
 public:
  MbedtlsCrypto();
  ~MbedtlsCrypto() override;
  MbedtlsCrypto(const MbedtlsCrypto &) = delete;
  MbedtlsCrypto &operator=(const MbedtlsCrypto &) = delete;

  void sha256_begin() override;
  void sha256_add(const void *data, size_t size) override;
  void sha256_end(uint8_t digest[32]) override;
  void hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) override;
  bool verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) override;
  bool point(const uint8_t key[65]) override;

 private:
  mbedtls_sha256_context sha_;
};

}  // namespace flota
