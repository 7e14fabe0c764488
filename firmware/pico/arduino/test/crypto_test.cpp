// BearSSL, as a Pico has it, says what mbedTLS says, and what the vectors say.
#include "bearssl/crypto.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "mbedtls/crypto.h"
#include "server.h"
#include "sign.h"

using namespace flota;
using nlohmann::json;
using test::Bytes;

namespace {

json cases(const std::string &name) {
  std::ifstream in(std::string(VECTORS) + "/" + name);
  REQUIRE_MESSAGE(in.good(), "no ", name);
  json all = json::parse(in)["cases"];
  REQUIRE(all.size() > 0);
  return all;
}

const uint8_t *bytes(const std::string &s) { return reinterpret_cast<const uint8_t *>(s.data()); }

std::string decoded(const std::string &base64) {
  std::string s(base64.size(), 0);
  int n = unbase64(Text(base64.data(), base64.size()), reinterpret_cast<uint8_t *>(&s[0]), s.size());
  s.resize(n < 0 ? 0 : size_t(n));
  return s;
}

}  // namespace

TEST_CASE("digests and MACs of any length, in any pieces") {
  std::mt19937 random(1);
  BearsslCrypto one;
  MbedtlsCrypto other;
  uint8_t key[32], a[32], b[32];
  for (size_t size : {0u, 1u, 55u, 56u, 63u, 64u, 65u, 127u, 1000u, 4096u}) {
    CAPTURE(size);
    Bytes data(size);
    for (uint8_t &byte : data) byte = uint8_t(random());
    for (uint8_t &byte : key) byte = uint8_t(random());
    one.sha256_begin();
    other.sha256_begin();
    one.sha256_add(data.data(), size / 3);
    one.sha256_add(data.data() + size / 3, size - size / 3);
    other.sha256_add(data.data(), size);
    one.sha256_end(a);
    other.sha256_end(b);
    CHECK(std::memcmp(a, b, 32) == 0);
    one.hmac_sha256(key, data.data(), size, a);
    other.hmac_sha256(key, data.data(), size, b);
    CHECK(std::memcmp(a, b, 32) == 0);
  }
}

TEST_CASE("signatures and points, good and bad") {
  std::mt19937 random(2);
  BearsslCrypto one;
  MbedtlsCrypto other;
  for (const test::Signer *signer : {&test::first_key(), &test::second_key(), &test::new_key()}) {
    std::string point = signer->point(), text = "some statement", signature = signer->sign(text);
    uint8_t digest[32];
    one.sha256_begin();
    one.sha256_add(text.data(), text.size());
    one.sha256_end(digest);
    CHECK(one.point(bytes(point)));
    CHECK(one.verify(bytes(point), digest, bytes(signature)));
    int good = 0;
    for (int i = 0; i < 200; i++) {
      std::string p = point, s = signature;
      uint8_t d[32];
      std::memcpy(d, digest, 32);
      unsigned bit = random();
      if (i % 3 == 0) p[bit / 8 % 65] = char(p[bit / 8 % 65] ^ (1 << bit % 8));
      if (i % 3 == 1) s[bit / 8 % 64] = char(s[bit / 8 % 64] ^ (1 << bit % 8));
      if (i % 3 == 2) d[bit / 8 % 32] = uint8_t(d[bit / 8 % 32] ^ (1 << bit % 8));
      CHECK(one.point(bytes(p)) == other.point(bytes(p)));
      CHECK(one.verify(bytes(p), d, bytes(s)) == other.verify(bytes(p), d, bytes(s)));
      good += one.verify(bytes(p), d, bytes(s));
    }
    CHECK(good == 0);
    for (int fill : {0x00, 0xff}) {  // r and s out of their range
      std::string s(64, char(fill));
      CHECK_FALSE(one.verify(bytes(point), digest, bytes(s)));
      CHECK_FALSE(one.verify(bytes(point), digest, bytes(s.substr(0, 32) + signature.substr(32))));
      CHECK_FALSE(one.verify(bytes(point), digest, bytes(signature.substr(0, 32) + s.substr(32))));
      std::string p(65, char(fill));
      p[0] = 4;
      CHECK_FALSE(one.point(bytes(p)));
      CHECK_FALSE(one.verify(bytes(p), digest, bytes(signature)));
    }
  }
}

TEST_CASE("derive.json and statement.json") {
  BearsslCrypto crypto;
  int keys = 0, signatures = 0;
  for (const json &c : cases("derive.json")) {
    if (!c.contains("key") || !c.value("valid", true)) continue;
    Credential credential;
    std::string key = c["key"];
    derive(crypto, Text(key.data(), key.size()), &credential);
    CHECK(std::string(credential.key_id) == c["key_id"]);
    keys++;
  }
  CHECK(keys > 0);
  for (const json &c : cases("statement.json")) {
    CAPTURE(c["name"]);
    std::string payload = decoded(c["statement"]["payload"]), signature = decoded(c["statement"]["sig"]);
    if (signature.size() != 64) continue;
    uint8_t digest[32];
    crypto.sha256_begin();
    crypto.sha256_add(payload.data(), payload.size());
    crypto.sha256_end(digest);
    MbedtlsCrypto other;
    for (const auto &key : c["device"]["keys"]) {
      std::string point = decoded(key.get<std::string>());
      bool right = crypto.verify(bytes(point), digest, bytes(signature));
      CHECK(right == other.verify(bytes(point), digest, bytes(signature)));
      signatures += right;
    }
  }
  CHECK(signatures > 0);
}
