// On an ESP32 the library is compiled with this folder in it, where there is no BearSSL.
#if defined(ARDUINO_ARCH_RP2040) || defined(FLOTA_BEARSSL)

#include "crypto.h"

#include <string.h>

namespace flota {

namespace {

// A Cortex-M0+ multiplies 32 by 32 bits to 32: 15-bit words are the fastest there, and
// constant-time everywhere.
const br_ec_impl *p256() { return &br_ec_p256_m15; }

}  // namespace

void BearsslCrypto::sha256_begin() { br_sha256_init(&sha_); }
void BearsslCrypto::sha256_add(const void *data, size_t size) { br_sha256_update(&sha_, data, size); }
void BearsslCrypto::sha256_end(uint8_t digest[32]) { br_sha256_out(&sha_, digest); }

void BearsslCrypto::hmac_sha256(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]) {
  br_hmac_key_context known;
  br_hmac_context context;
  br_hmac_key_init(&known, &br_sha256_vtable, key, 32);
  br_hmac_init(&context, &known, 0);
  br_hmac_update(&context, data, size);
  br_hmac_out(&context, mac);
}

// point multiplies by 1, which fails for what is no point of the curve.
bool BearsslCrypto::point(const uint8_t key[65]) {
  uint8_t copy[65], one = 1;
  memcpy(copy, key, sizeof copy);
  return key[0] == 4 && p256()->mul(copy, sizeof copy, &one, 1, BR_EC_secp256r1) == 1;
}

bool BearsslCrypto::verify(const uint8_t key[65], const uint8_t digest[32], const uint8_t signature[64]) {
  uint8_t copy[65];
  memcpy(copy, key, sizeof copy);
  br_ec_public_key public_key = {BR_EC_secp256r1, copy, sizeof copy};
  return key[0] == 4 && br_ecdsa_i15_vrfy_raw(p256(), digest, 32, &public_key, signature, 64) == 1;
}

}  // namespace flota

#endif
