// A Pico has BearSSL (../bearssl).
#if !defined(ARDUINO_ARCH_RP2040)

#include "crypto.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/version.h>
#include <string.h>

// What returns an error in 3.x is called …_ret in 2.x, where the plain name is deprecated.
#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define SHA256_STARTS mbedtls_sha256_starts_ret
#define SHA256_UPDATE mbedtls_sha256_update_ret
#define SHA256_FINISH mbedtls_sha256_finish_ret
#else
#define SHA256_STARTS mbedtls_sha256_starts
#define SHA256_UPDATE mbedtls_sha256_update
#define SHA256_FINISH mbedtls_sha256_finish
#endif

namespace flota {

namespace {

// Key is a public key of P-256 as mbedTLS has it.
class Key {
 public:
  explicit Key(const uint8_t bytes[65]) {
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    // The first byte says which form of a point it is; 4 is the uncompressed one.
    valid = bytes[0] == 4 && mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
            mbedtls_ecp_point_read_binary(&group, &point, bytes, 65) == 0 &&
            mbedtls_ecp_check_pubkey(&group, &point) == 0;
  }
  ~Key() {
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
  }
  Key(const Key &) = delete;
  Key &operator=(const Key &) = delete;

  mbedtls_ecp_group group;
  mbedtls_ecp_point point;
  bool valid;
};

class Number {
 public:
  explicit Number(const uint8_t bytes[32]) {
    mbedtls_mpi_init(&value);
    valid = mbedtls_mpi_read_binary(&value, bytes, 32) == 0;
  }
  ~Number() { mbedtls_mpi_free(&value); }
  Number(const Number &) = delete;
  Number &operator=(const Number &) = delete;

  mbedtls_mpi value;
  bool valid;
};

}  // namespace

MbedtlsCrypto::MbedtlsCrypto() { mbedtls_sha256_init(&sha_); }
MbedtlsCrypto::~MbedtlsCrypto() { mbedtls_sha256_free(&sha_); }

// SHA-256 fails only where its hardware does. The digest is then one of zeros, which nothing has.
void MbedtlsCrypto::sha256_begin() {
  mbedtls_sha256_free(&sha_);
  mbedtls_sha256_init(&sha_);
  (void)SHA256_STARTS(&sha_, 0);
}

void MbedtlsCrypto::sha256_add(const void *data, size_t size) {
  (void)SHA256_UPDATE(&sha_, static_cast<const unsigned char *>(data), size);
}

void MbedtlsCrypto::sha256_end(uint8_t digest[32]) {
  if (SHA256_FINISH(&sha_, digest) != 0) memset(digest, 0, 32);
}

void MbedtlsCrypto::hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) {
  // HMAC (RFC 2104) written out: mbedtls_md_hmac allocates its contexts.
  mbedtls_sha256_context sha;
  uint8_t pad[64];
  for (int i = 0; i < 64; i++) pad[i] = uint8_t((i < 32 ? key[i] : 0) ^ 0x36);
  mbedtls_sha256_init(&sha);
  bool done = SHA256_STARTS(&sha, 0) == 0 && SHA256_UPDATE(&sha, pad, sizeof pad) == 0 &&
              SHA256_UPDATE(&sha, static_cast<const unsigned char *>(data), size) == 0 && SHA256_FINISH(&sha, mac) == 0;
  for (uint8_t &b : pad) b ^= 0x36 ^ 0x5c;
  done = done && SHA256_STARTS(&sha, 0) == 0 && SHA256_UPDATE(&sha, pad, sizeof pad) == 0 &&
         SHA256_UPDATE(&sha, mac, 32) == 0 && SHA256_FINISH(&sha, mac) == 0;
  mbedtls_sha256_free(&sha);
  volatile uint8_t *wipe = pad;
  for (size_t i = 0; i < sizeof pad; i++) wipe[i] = 0;
  if (!done) memset(mac, 0, 32);
}

bool MbedtlsCrypto::verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) {
  Key public_key(key);
  Number r(signature), s(signature + 32);
  return public_key.valid && r.valid && s.valid &&
         mbedtls_ecdsa_verify(&public_key.group, digest, 32, &public_key.point, &r.value, &s.value) == 0;
}

bool MbedtlsCrypto::point(const uint8_t key[65]) { return Key(key).valid; }

}  // namespace flota

#endif
