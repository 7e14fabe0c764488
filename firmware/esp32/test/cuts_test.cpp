// Power cuts at every byte that an update writes, to the flash and to the storage.
// FLOTA_FULL=1 tries each of them; without it, some of each kind.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

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
    MESSAGE(all, " bytes are written");
    REQUIRE(all > kSize);
    uint64_t tried = 0;
    for (uint64_t cut = 0; cut < all; cut += step, tried++) {
      CAPTURE(cut);
      run({cut});
    }
    MESSAGE(tried, " cuts");
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

TEST_CASE("many cuts one after the other") {
  std::random_device device;
  unsigned seed = std::getenv("FLOTA_SEED") != nullptr ? unsigned(std::atoi(std::getenv("FLOTA_SEED"))) : device();
  MESSAGE("FLOTA_SEED=", seed);
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
