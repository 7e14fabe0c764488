// Power cuts at every byte that an update writes, to the flash and to the storage.
// FLOTA_FULL=1 tries each of them; without it, some of each kind.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>

#include "provision.h"
#include "server.h"

using namespace flota;
using test::Behaviour;
using test::Bytes;
using test::image;

namespace {

constexpr uint64_t minute = 60 * 1000;
constexpr size_t kSize = 9001;

uint64_t stride(uint64_t quick) { return std::getenv("FLOTA_FULL") != nullptr ? 1 : quick; }

// What must hold whatever is cut: nothing is started but the two images (the machine
// throws), the old one stays as it is, and in the end the device is where it belongs.
struct Outcomes {
  bool rollback = true;
  Behaviour behaviour;
  bool ends_with_next = true;
  std::string report = "confirmed";
  uint64_t patience = 90 * minute;

  // run returns how many bytes were written in all.
  uint64_t run(const std::vector<uint64_t> &cuts) const {
    test::Server server;
    test::Machine m;
    static const Bytes old = image(1, kSize), next = image(2, kSize);
    server.give(m);
    m.flash.rollback = rollback;
    m.flash.flash(0, old);
    m.known[test::sha256(old)] = "old";
    m.behaviours[test::sha256(next)] = behaviour;
    server.want(7, next, [](auto &d) {
      d.version = "next";
      d.keys = test::new_key().point();
      d.security_version = 3;
    });
    auto done = [&] {
      return m.agent() != nullptr && !m.agent()->pending() && get_number(m.storage, "decided") == 7 &&
             m.storage.values.count("t.trial") == 0 && m.storage.values.count("t.reports") == 0 &&
             (m.running() == test::sha256(next)) == ends_with_next;
    };
    uint64_t until = m.power.now + patience;
    for (uint64_t cut : cuts) {
      m.power.cut_at = m.power.written + cut;
      m.run(until - m.power.now, [&] { return m.power.cut_at == UINT64_MAX || done(); });
    }
    m.power.cut_at = UINT64_MAX;
    if (m.power.now < until) m.run(until - m.power.now, done);
    CHECK(done());
    CHECK(m.running() == test::sha256(ends_with_next ? next : old));
    CHECK(m.flash.image(0) == old);
    CHECK(get_number(m.storage, "accepted") == 7);
    CHECK(get_number(m.storage, "secversion") == (ends_with_next ? 3 : 0));
    CHECK(m.storage.values["keys"] == test::first_key().point() + test::new_key().point());
    // Nobody is blamed for a loss of power.
    std::set<std::string> said(server.reports.begin(), server.reports.end());
    for (const std::string &word : said) {
      CHECK((word == "downloading" || word == "verified" || word == "applied" || word == report));
    }
    CHECK(said.count(report) == 1);
    return m.power.written;
  }

  void everywhere(uint64_t step) const {
    uint64_t all = run({});
    REQUIRE(all > kSize);
    uint64_t tried = 0;
    for (uint64_t cut = 0; cut < all; cut += step, tried++) {
      CAPTURE(cut);
      run({cut});
    }
    std::printf("%llu power cuts within %llu bytes, and the same end: %s\n", (unsigned long long)tried,
                (unsigned long long)all, report.c_str());
  }
};

}  // namespace

TEST_CASE("a cut at any byte of an update") {
  for (bool rollback : {true, false}) {
    CAPTURE(rollback);
    Outcomes o;
    o.rollback = rollback;
    o.everywhere(stride(13));
  }
}

TEST_CASE("a cut at any byte of an update to an image that crashes") {
  for (bool rollback : {true, false}) {
    CAPTURE(rollback);
    Outcomes o;
    o.rollback = rollback;
    o.behaviour = {200, Reset::crash};
    o.ends_with_next = false;
    o.report = "rolled_back crash";
    o.everywhere(stride(29));
  }
}

TEST_CASE("a cut at any byte of an update to an image that never checks in") {
  Outcomes o;
  o.behaviour.online = false;
  o.ends_with_next = false;
  o.report = "rolled_back no_checkin";
  o.everywhere(stride(211));
}

// A device that is given something else is never half of each: cut short, it was given
// nothing and waits for the cable.
TEST_CASE("a cut at any byte of what is given over the cable") {
  struct Quiet final : Provisioned {
    ServerStatus status() override { return ServerStatus(); }
    void changed() override {}
  } quiet;
  std::string line =
      R"({"flota":"provision","server":"http://other","workspace":"ws2","device":"dev2","product_id":"bot_002","board":"flota:virtual:esp32","key":")" +
      std::string("fk_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA") + R"(","keys":[")" +
      test::base64(test::new_key().point()) + R"("],"groups":["a"],"wifi":[{"ssid":"shed"}]})" + "\n";
  std::map<std::string, std::string> before, after;
  int nothing = 0;
  for (uint64_t cut = 0, all = UINT64_MAX; cut <= all; cut++) {
    CAPTURE(cut);
    test::Server server;
    static test::Machine &m = *new test::Machine;
    m.storage.values.clear();
    server.give(m);
    m.storage.values["ca"] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    m.storage.values["accepted"] = std::string("\5\0\0\0\0\0\0\0", 8);
    before = m.storage.values;
    std::vector<char> room(kMaxLine);
    Dialogue dialogue(m.ports, quiet, room.data());
    uint64_t written = m.power.written;
    if (all != UINT64_MAX) m.power.cut_at = written + cut;
    try {
      dialogue.receive(reinterpret_cast<const uint8_t *>(line.data()), line.size());
    } catch (const test::Ended &) {
    }
    m.power.cut_at = UINT64_MAX;
    if (all == UINT64_MAX) {
      all = m.power.written - written;
      after = m.storage.values;
      REQUIRE(after["device"] == "dev2");
      REQUIRE(after.count("accepted") == 0);
      cut = UINT64_MAX;  // and again from 0
      continue;
    }
    const auto &v = m.storage.values;
    nothing += !provisioned(m.storage);
    CHECK((v == before || v == after || !provisioned(m.storage)));
  }
  CHECK(nothing > 100);
}

// What is noted of one download is never taken for another's.
TEST_CASE("another deployment in mid-download, and a cut at any note of it") {
  static const Bytes old = image(1, kSize), first = image(2, 150'000), second = image(3, 150'000);
  for (uint64_t cut = 0; cut < 600; cut += stride(17)) {
    CAPTURE(cut);
    test::Server server;
    test::Machine m;
    server.give(m);
    m.flash.flash(0, old);
    m.known[test::sha256(old)] = "old";
    server.want(7, first);
    m.known.erase(test::sha256(first));
    m.power.cut_at = m.power.written + 140'000;
    m.run(minute, [&] { return m.power.cut_at == UINT64_MAX; });
    CHECK(get_offset(m.storage) == 131072);
    server.want(8, second);
    uint64_t bytes = m.wire.received;
    m.power.cut_at = m.power.written + cut;
    m.run(10 * minute);
    CHECK(m.running() == test::sha256(second));
    CHECK(m.wire.received - bytes <= second.size() + 15'000);
  }
}

TEST_CASE("many cuts one after the other") {
  std::random_device device;
  unsigned seed = std::getenv("FLOTA_SEED") != nullptr ? unsigned(std::atoi(std::getenv("FLOTA_SEED"))) : device();
  CAPTURE(seed);  // FLOTA_SEED repeats it
  std::mt19937 generator(seed);
  for (int i = 0; i < (stride(2) == 1 ? 3000 : 200); i++) {
    std::vector<uint64_t> cuts;
    for (unsigned n = 2 + generator() % 6; n > 0; n--)
      cuts.push_back(generator() % (generator() % 3 == 0 ? 11000 : 600));
    CAPTURE(i);
    Outcomes o;
    o.rollback = generator() % 4 != 0;
    o.patience = 24 * 60 * minute;
    o.run(cuts);
  }
}
