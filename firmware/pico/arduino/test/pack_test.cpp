// What is packed unpacks to what it was, by zlib.
#include "pico/pack.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <random>

#include "machine.h"

using test::Bytes;

namespace {

struct Collect final : flota::Packer::Sink {
  bool take(const uint8_t *data, size_t size) override {
    bytes.insert(bytes.end(), data, data + size);
    return bytes.size() <= most;
  }
  Bytes bytes;
  size_t most = SIZE_MAX;
};

Bytes unpacked(const Bytes &packed, size_t most) {
  Bytes b(most + 1);
  z_stream z = {};
  z.next_in = const_cast<uint8_t *>(packed.data());
  z.avail_in = uInt(packed.size());
  z.next_out = b.data();
  z.avail_out = uInt(b.size());
  REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);  // gzip, with its checksum and size
  CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END);
  CHECK(z.avail_in == 0);
  b.resize(z.total_out);
  inflateEnd(&z);
  return b;
}

}  // namespace

TEST_CASE("packed and unpacked: every length of a match, every distance, every byte") {
  std::mt19937 random(1);
  std::vector<Bytes> all = {{},           {7}, {7, 7}, Bytes(3, 0), Bytes(100'000, 0x55), Bytes(258, 1), Bytes(259, 1),
                            Bytes(260, 1)};
  for (size_t size : {1u, 255u, 40'000u, 200'000u}) {
    Bytes b(size);
    for (uint8_t &byte : b) byte = uint8_t(random());
    all.push_back(b);
  }
  for (unsigned letters : {2u, 5u, 20u}) {
    Bytes b(150'000);
    for (uint8_t &byte : b) byte = uint8_t(random() % letters * 17);
    all.push_back(b);
  }
  for (int i = 0; i < 60; i++) {  // copies of what was there, of any length, from anywhere
    Bytes b(1000);
    for (uint8_t &byte : b) byte = uint8_t(random());
    while (b.size() < 120'000) {
      size_t length = 1 + random() % 300, back = 1 + random() % std::min<size_t>(b.size(), i % 2 ? 33'000 : 500);
      for (size_t n = 0; n < length; n++) b.push_back(b[b.size() - back]);
      b.push_back(uint8_t(random()));
    }
    all.push_back(b);
  }
  for (const Bytes &b : all) {
    CAPTURE(b.size());
    Collect packed;
    REQUIRE(flota::Packer(packed).pack(b.data(), uint32_t(b.size())));
    CHECK(unpacked(packed.bytes, b.size()) == b);
  }
}

TEST_CASE("what does not fit ends it") {
  Bytes b(10'000, 1);
  for (size_t i = 0; i < b.size(); i++) b[i] = uint8_t(i * i >> 3);
  Collect packed;
  packed.most = 512;
  CHECK_FALSE(flota::Packer(packed).pack(b.data(), uint32_t(b.size())));
  CHECK(packed.bytes.size() < 1024);
}
