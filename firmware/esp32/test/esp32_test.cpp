// The parts of the adapter for ESP32 that touch no hardware.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "esp32/otadata.cpp"
#include "flota/phases.h"
#include "flota/turns.h"

using namespace flota;

namespace {

OtaEntry entry(uint32_t seq, uint32_t state) {
  OtaEntry e;
  memset(&e, 0xFF, sizeof e);
  e.seq = seq;
  e.state = state;
  e.crc = ota_crc(seq);
  return e;
}

OtaEntry blank() {
  OtaEntry e;
  memset(&e, 0xFF, sizeof e);
  return e;
}

}  // namespace

TEST_CASE("otadata: the checksum is the bootloader's") {
  CHECK(ota_crc(1) == 0x4743989A);  // of boot_app0.bin, which every arduino-esp32 flashes
  CHECK(ota_crc(2) == 0x55F63774);
}

TEST_CASE("otadata: the bootloader goes by the valid entry with the highest number") {
  OtaEntry broken = entry(9, kOtaNew);
  broken.crc ^= 1;
  struct {
    OtaEntry first, second;
    int active;
  } cases[] = {
      {blank(), blank(), -1},
      {entry(1, kOtaUndefined), blank(), 0},
      {blank(), entry(2, kOtaNew), 1},
      {entry(1, 2), entry(2, kOtaNew), 1},
      {entry(3, 1), entry(2, 2), 0},
      {entry(3, kOtaInvalid), entry(2, 2), 1},
      {entry(3, kOtaAborted), entry(2, 2), 1},
      {entry(3, kOtaAborted), entry(4, kOtaInvalid), -1},
      {entry(1, 2), broken, 0},
      {entry(5, 2), entry(5, 2), 0},
  };
  for (const auto &c : cases) {
    OtaEntry both[2] = {c.first, c.second};
    CHECK(ota_active(both) == c.active);
  }
}

// What Slots::revert does: the entry of the image that runs is erased, whatever else is there.
TEST_CASE("otadata: without the entry of the new image, the old one's counts") {
  for (uint32_t state : {uint32_t(1), kOtaNew, uint32_t(2), kOtaUndefined}) {
    OtaEntry both[2] = {entry(7, 2), entry(8, state)};
    int active = ota_active(both);
    REQUIRE(active == 1);
    both[active] = blank();
    CHECK(ota_active(both) == 0);
  }
}

// Marking an undefined entry new must only clear bits: NOR flash sets none without erasing.
TEST_CASE("otadata: undefined becomes new without erasing") { CHECK((kOtaUndefined & kOtaNew) == kOtaNew); }

TEST_CASE("turns: the networks are tried in their order, then after a pause that grows") {
  Turns turns;
  std::vector<std::string> log;
  uint64_t last = 0;
  for (uint64_t now = 0; now < 400000; now += 50) {
    int n = turns.next(now, 3);
    if (n < 0) continue;
    log.push_back(std::to_string(n) + "+" + std::to_string((now - last) / 1000));
    last = now;
  }
  CHECK(log == std::vector<std::string>{"0+0", "1+15", "2+15", "0+25", "1+15", "2+15", "0+35", "1+15", "2+15", "0+55",
                                        "1+15", "2+15", "0+75", "1+15", "2+15"});
}

TEST_CASE("turns: a connection that broke is given time, then its network has the first turn") {
  Turns turns;
  CHECK(turns.next(0, 3) == 0);
  CHECK(turns.next(15000, 3) == 1);
  for (uint64_t now = 16000; now < 60000; now += 50) turns.connected(now);
  CHECK(turns.next(60000, 3) == -1);
  CHECK(turns.next(75000, 3) == 1);
  CHECK(turns.next(90000, 3) == 2);
  CHECK(turns.next(105000, 3) == 0);
  CHECK(turns.next(120000, 3) == -1);
  CHECK(turns.next(130000, 3) == 1);
}

TEST_CASE("turns: no network, another list, a shorter one") {
  Turns turns;
  CHECK(turns.next(0, 0) == -1);
  CHECK(turns.next(1, 4) == 0);
  CHECK(turns.next(20000, 4) == 1);
  CHECK(turns.next(40000, 1) == -1);  // the round is over
  CHECK(turns.next(50000, 1) == 0);
  turns.restart();
  CHECK(turns.next(50001, 2) == 0);
}

TEST_CASE("the light tells the phases apart") {
  const Light all[] = {Light::idle,        Light::offline,    Light::checking,
                       Light::downloading, Light::installing, Light::failed};
  for (Light a : all) {
    CHECK((phase(a) >> kPhaseSteps) == 0);
    CHECK(phase(a) != 0);
    for (Light b : all) CHECK((a == b) == (phase(a) == phase(b)));
  }
  CHECK(lit(Light::idle, 0));
  CHECK_FALSE(lit(Light::idle, 1));
  CHECK(lit(Light::idle, kPhaseSteps));
  CHECK(lit(Light::installing, 19));
}

TEST_CASE("a button that bounces is pressed once") {
  Debounced button;
  int presses = 0;
  bool before = false;
  for (uint64_t now = 0; now < 500; now++) {
    bool down = now >= 100 && now < 300 && !(now < 110 && now % 3 == 0);
    bool pressed = button.step(down, now);
    if (pressed && !before) presses++;
    before = pressed;
  }
  CHECK(presses == 1);
  for (uint64_t now = 1000; now < 1500; now++) CHECK_FALSE(button.step(now % 20 < 10, now));  // a clock on the pin
}
