// What the fuzz targets share: cryptography that believes everything, fast.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ports.h"

// require ends the run like a crash, so that the fuzzer keeps the input.
inline void require(bool holds) {
  if (!holds) abort();
}

struct Believing final : flota::Crypto {
  void sha256_begin() override {}
  void sha256_add(const void *, size_t) override {}
  void sha256_end(uint8_t digest[32]) override { memset(digest, 0, 32); }
  void hmac_sha256(const uint8_t *, const void *data, size_t size, uint8_t mac[32]) override {
    uint32_t sum = 1;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + static_cast<const uint8_t *>(data)[i];
    memset(mac, 0, 32);
    memcpy(mac, &sum, 4);
  }
  bool verify(const uint8_t *, const uint8_t *, const uint8_t *) override { return true; }
  bool point(const uint8_t key[65]) override { return key[0] == 4; }
};
