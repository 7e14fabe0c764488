// esp_image wraps a file in the form of an ESP32's application image:
//
//	header  24 bytes  0xE9, one segment, ..., hash_appended = 1 at byte 23
//	segment  8 bytes  load address (0), length; little-endian
//	payload           the file
//	padding           zeros, so that the checksum ends a block of 16
//	checksum 1 byte   0xEF xor every byte of the payload
//	digest  32 bytes  SHA-256 over everything before
//
// It has no dependency, so that it runs wherever the compiler does.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

struct Sha256 {
  uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

  static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

  void block(const uint8_t *p) {
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
      w[i] = uint32_t(p[4 * i]) << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
      uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
      uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], last = h[7];
    for (int i = 0; i < 64; i++) {
      uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      uint32_t t1 = last + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i];
      uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      last = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += last;
  }

  static std::vector<uint8_t> of(const std::vector<uint8_t> &data) {
    Sha256 s;
    size_t whole = data.size() / 64 * 64;
    for (size_t i = 0; i < whole; i += 64) s.block(&data[i]);
    std::vector<uint8_t> end(data.begin() + whole, data.end());
    end.push_back(0x80);
    while (end.size() % 64 != 56) end.push_back(0);
    for (int i = 7; i >= 0; i--) end.push_back(uint64_t(data.size()) * 8 >> 8 * i);
    for (size_t i = 0; i < end.size(); i += 64) s.block(&end[i]);
    std::vector<uint8_t> sum;
    for (uint32_t word : s.h)
      for (int i = 3; i >= 0; i--) sum.push_back(word >> 8 * i);
    return sum;
  }
};

int fail(const char *what, const char *name) {
  fprintf(stderr, "esp_image: cannot %s %s\n", what, name);
  return 1;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: esp_image <payload> <image>\n");
    return 2;
  }
  FILE *in = fopen(argv[1], "rb");
  if (!in) return fail("read", argv[1]);
  fseek(in, 0, SEEK_END);
  long size = ftell(in);
  rewind(in);
  if (size < 0 || size > 1 << 28) return fail("read", argv[1]);

  std::vector<uint8_t> image;
  image.reserve(size + 96);  // every build waits for this: one block of memory, one pass
  image.resize(32 + size);
  image[0] = 0xE9;
  image[1] = 1;     // segments
  image[2] = 0x02;  // DIO
  image[3] = 0x2F;  // 4 MB, 80 MHz
  image[8] = 0xEE;  // no write-protect pin
  image[23] = 1;    // hash_appended
  for (int i = 0; i < 4; i++) image[28 + i] = uint32_t(size) >> 8 * i;
  if (fread(&image[32], 1, size, in) != size_t(size)) return fail("read", argv[1]);
  fclose(in);
  uint8_t checksum = 0xEF;
  for (long i = 0; i < size; i++) checksum ^= image[32 + i];
  while (image.size() % 16 != 15) image.push_back(0);
  image.push_back(checksum);
  std::vector<uint8_t> sum = Sha256::of(image);
  image.insert(image.end(), sum.begin(), sum.end());

  FILE *out = fopen(argv[2], "wb");
  if (!out || fwrite(image.data(), 1, image.size(), out) != image.size() || fclose(out)) return fail("write", argv[2]);
  return 0;
}
