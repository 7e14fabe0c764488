// Slots and storage of a Pico, without an agent.
#include <doctest/doctest.h>

#include "board.h"
#include "pico/command.h"

using namespace flota;
using test::Bytes;
using test::Littlefs;
using test::Power;
using test::program;
using test::Xip;

namespace {

constexpr size_t kSize = 20'000;

struct Bench {
  explicit Bench(size_t file_system = 100'000) : files(power, file_system), slots(files, xip, crypto) {
    Bytes old = program(1, kSize);
    std::copy(old.begin(), old.end(), xip.flash.begin());
  }
  // packed is how large the program that runs is as a file that is kept.
  size_t packed() { return files.capacity() - slots.size(); }
  bool download(const Bytes &image) {
    size_t at = 0;
    while (at < image.size()) {
      size_t n = std::min<size_t>(4096, image.size() - at);
      if (!slots.erase(uint32_t(at), 4096) || !slots.write(uint32_t(at), image.data() + at, n)) return false;
      at += n;
    }
    return true;
  }

  Power power;
  Littlefs files;
  Xip xip;
  MbedtlsCrypto crypto;
  PicoSlots slots;
};

}  // namespace

TEST_CASE("room for both, or for one") {
  size_t packed = Bench().packed();
  REQUIRE(packed < kSize);
  for (size_t capacity : {size_t(0), kSize, kSize + packed - 1, kSize + packed, 5 * kSize, 10 * Xip::kSize}) {
    CAPTURE(capacity);
    Bench b(capacity);
    bool both = capacity >= kSize + packed;
    CHECK(std::string(b.slots.rollback()) == (both ? "agent-only" : "none"));
    CHECK(b.slots.size() == std::min<size_t>(both ? capacity - packed : capacity, Xip::kSize));
    CHECK_FALSE(b.slots.rolls_back());
  }
}

TEST_CASE("what is downloaded does not take from the slot's size") {
  Bench b;
  uint32_t size = b.slots.size();
  REQUIRE(b.download(program(2, kSize)));
  PicoSlots again(b.files, b.xip, b.crypto);
  CHECK(again.size() == size);
  b.files.files["flota/kept.gz"] = Bytes(kSize);
  PicoSlots kept(b.files, b.xip, b.crypto);
  CHECK(kept.size() == size);
  b.files.files["log.txt"] = Bytes(7000);  // the sketch's
  PicoSlots less(b.files, b.xip, b.crypto);
  CHECK(less.size() == size - 7000);
}

TEST_CASE("a download is taken up where it was certain") {
  Bench b;
  Bytes next = program(2, kSize);
  REQUIRE(b.download(Bytes(next.begin(), next.begin() + 12288)));
  CHECK_FALSE(b.slots.write(16384, next.data(), 16));  // not in order
  CHECK_FALSE(b.slots.erase(16384, 4096));
  PicoStorage storage(b.files);
  REQUIRE(storage.put("t.offset", "x", 1));  // what is noted is certain
  b.files.restart();
  CHECK(b.files.size(PicoSlots::kNext) == 12288);
  REQUIRE(b.slots.write(12288, next.data() + 12288, 4096));
  b.files.restart();  // and this was not
  CHECK(b.files.size(PicoSlots::kNext) == 12288);
  REQUIRE(b.slots.erase(8192, 4096));
  CHECK(b.files.size(PicoSlots::kNext) == 8192);
  REQUIRE(b.slots.write(8192, next.data() + 8192, kSize - 8192));
  Bytes read(kSize);
  REQUIRE(b.slots.read(0, read.data(), kSize));
  CHECK(read == next);
  CHECK_FALSE(b.slots.read(1, read.data(), kSize));
  REQUIRE(b.slots.erase(0, 4096));
  CHECK(b.files.size(PicoSlots::kNext) == -1);
  CHECK_FALSE(b.slots.write(0, next.data(), b.slots.size() + 1));
}

TEST_CASE("what could not be started, or would lose its file system, is not accepted") {
  Bytes good = program(2, kSize);
  auto accepted = [](const Bytes &image, uint32_t length) {
    Bench b;
    REQUIRE(b.download(image));
    return b.slots.acceptable(length);
  };
  CHECK(accepted(good, kSize));
  CHECK_FALSE(accepted(good, kSize - 1));
  CHECK_FALSE(accepted(program(2, kSize, 0x101c0000), kSize));  // built with another flash layout
  CHECK_FALSE(accepted(Bytes(good.begin(), good.begin() + 12290), 12290));
  Bytes stack = good, start = good, even = good;
  stack[0x3003] = 0x10;
  start[0x3007] = 0x20;
  even[0x3004] &= 0xfe;
  CHECK_FALSE(accepted(stack, kSize));
  CHECK_FALSE(accepted(start, kSize));
  CHECK_FALSE(accepted(even, kSize));
  Bytes esp(kSize);
  esp[0] = 0xe9;
  CHECK_FALSE(accepted(esp, kSize));
}

TEST_CASE("the command is arduino-pico's") {
  OtaCommand command;
  ota_command("flota/next.bin", 0x12345, &command);
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&command);
  CHECK(std::memcmp(bytes, "Pico OTA\1\0\0\0\1\0\0\0flota/next.bin\0", 31) == 0);
  CHECK(std::memcmp(bytes + 80, "\0\0\0\0\x45\x23\1\0\0\0\0\x10", 12) == 0);
  // zlib.crc32 of the 652 bytes before.
  CHECK(command.crc == 0x952E0A29);
  CHECK(ota_valid(command));
  command.writes[7].length ^= 1;
  CHECK_FALSE(ota_valid(command));
}

TEST_CASE("storage: whole or not at all, at any cut") {
  for (uint64_t cut = 0; cut < 200; cut++) {
    CAPTURE(cut);
    Power power;
    Littlefs files(power, 100'000);
    PicoStorage storage(files);
    char value[8] = {};
    CHECK(storage.get("decided", value, sizeof value) == -1);
    REQUIRE(storage.put("decided", "before", 6));
    power.cut_at = power.written + cut;
    bool whole = true;
    try {
      whole = storage.put("decided", "behind!", 7) && storage.erase("accepted");
    } catch (const test::Ended &) {
      whole = false;
    }
    files.restart();
    int size = storage.get("decided", value, sizeof value);
    std::string now(value, size_t(size));
    CHECK((now == "behind!" || (!whole && now == "before")));
    CHECK(storage.get("decided", value, 5) == -1);  // no room
    power.cut_at = UINT64_MAX;
    CHECK(storage.erase("decided"));
    CHECK(storage.erase("decided"));
    CHECK(storage.get("decided", value, sizeof value) == -1);
  }
}
