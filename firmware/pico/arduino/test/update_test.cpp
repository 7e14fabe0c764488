// The agent on a Pico: updates, what undoes them, and power cuts anywhere, also while the bootloader copies.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "board.h"

using namespace flota;
using test::Behaviour;
using test::Bytes;
using test::Pico;
using test::program;

namespace {

constexpr uint64_t second = 1000, minute = 60 * second, hour = 60 * minute;
constexpr size_t kSize = 20'000;

struct Bench : Pico {
  explicit Bench(size_t file_system = 160 * 1024) : Pico(file_system) { flash(old); }
  Behaviour &behaviour() { return behaviours[test::sha256(next)]; }
  bool runs_next() { return running() == test::sha256(next); }
  bool runs_old() { return running() == test::sha256(old); }
  nlohmann::json report() { return nlohmann::json::parse(server.bodies.back()); }

  Bytes old = test::program(1, kSize), next = test::program(2, kSize + 3000);
};

}  // namespace

TEST_CASE("an update, from the offer to its confirmation, and the next") {
  Bench b;
  b.want(7, b.next);
  b.run(2 * minute);
  CHECK(b.runs_next());
  CHECK(b.all() == "downloading, verified, applied, confirmed");
  CHECK(b.starts == std::vector<std::string>{"old", "next"});
  CHECK(b.number("decided") == 7);
  CHECK(b.report()["rollback"] == "agent-only");
  CHECK(b.report()["running"] == test::sha256(b.next));
  CHECK(b.files.files.count(PicoSlots::kNote) == 0);
  CHECK(b.files.files.count(PicoSlots::kNext) == 0);  // there is room for the sketch's files again
  CHECK(b.files.files.count(PicoSlots::kKept) == 0);
  b.cut();
  b.run(minute);
  CHECK(b.runs_next());
  Bytes third = program(3, kSize);
  b.want(8, third);
  b.run(3 * minute);
  CHECK(b.running() == test::sha256(third));
  CHECK(b.number("decided") == 8);
  CHECK(b.m.board.longest < 30 * second);
}

TEST_CASE("an image that crashes, hangs or fails its self-test goes back at once") {
  const struct {
    Behaviour behaviour;
    const char *report;
  } cases[] = {{{200, Reset::crash}, "rolled_back crash"},
               {{400, Reset::watchdog}, "rolled_back watchdog"},
               {{UINT64_MAX, Reset::crash, false, false}, "rolled_back selftest"},
               // It never comes as far as the agent: what runs first counts its starts.
               {{0, Reset::watchdog, true}, "rolled_back watchdog"},
               {{0, Reset::crash, true}, "rolled_back crash"}};
  for (const auto &c : cases) {
    CAPTURE(c.report);
    Bench b;
    b.behaviour() = c.behaviour;
    b.want(7, b.next);
    b.run(5 * minute);
    CHECK(b.runs_old());
    CHECK(b.server.reports.back() == c.report);
    CHECK(b.number("decided") == 7);
    CHECK(std::count(b.starts.begin(), b.starts.end(), "next") == (c.behaviour.passes ? 2 : 1));
    b.run(hour);
    CHECK(b.runs_old());  // it is not tried again
    CHECK(b.server.reports.back() == c.report);
  }
}

TEST_CASE("an image that does not check in is tried three times, and is not downloaded again") {
  Bench b;
  b.behaviour().online = false;
  b.want(7, b.next);
  b.run(2 * hour);
  CHECK(b.runs_old());
  CHECK(b.all() == "downloading, verified, applied, rolled_back no_checkin");
  CHECK(std::count(b.starts.begin(), b.starts.end(), "next") == 3);
  CHECK(b.server.images == 1);
  CHECK(b.files.begun[PicoSlots::kKept] == 1);  // nor is the old one kept again
}

TEST_CASE("loss of power during the trial counts for nothing") {
  Bench b;
  b.want(7, b.next);
  b.server.down = false;
  b.run(2 * minute, [&] { return b.starts.size() == 2; });
  REQUIRE(b.starts.back() == "next");
  b.cut();
  b.run(5 * minute);
  CHECK(b.runs_next());
  CHECK(b.all() == "downloading, verified, applied, confirmed");
  CHECK(b.starts == std::vector<std::string>{"old", "next", "next", "old", "next"});
}

// It needs the cable. The agent is not there to say more.
TEST_CASE("an image that ends before anything of ours runs stays") {
  Bench b;
  b.behaviour().reset = Reset::crash;
  b.unprotected[test::sha256(b.next)] = true;
  b.want(7, b.next);
  int ends = 0;
  b.run(5 * minute, [&] { return b.starts.size() > 20 || ++ends > 100'000; });
  CHECK(b.runs_next());
  CHECK(b.starts.size() > 20);
}

TEST_CASE("no room for both: updates without a way back, and it is said so") {
  Bench b(kSize + 4000);
  b.next = program(2, kSize);
  b.want(7, b.next);
  b.run(2 * minute);
  CHECK(b.runs_next());
  CHECK(b.report()["rollback"] == "none");
  CHECK(b.files.files.count(PicoSlots::kKept) == 0);
  CHECK(b.files.files.count(PicoSlots::kNext) == 0);
  Bytes third = program(3, kSize);
  b.behaviours[test::sha256(third)].online = false;
  b.want(8, third);
  b.run(hour);
  CHECK(b.running() == test::sha256(third));  // it goes on trying
  CHECK(b.starts == std::vector<std::string>{"old", "next", "next"});
  b.m.wire.up = true;  // as a radio does that comes back
  b.run(2 * hour);
  CHECK(b.number("decided") == 8);
}

TEST_CASE("what does not fit is refused before it is fetched") {
  Bench b(60'000);
  Bytes large = program(3, 55'000);
  b.want(7, large);
  b.run(2 * minute);
  CHECK(b.all() == "failed too_large");
  CHECK(b.server.images == 0);
  CHECK(int64_t(b.report()["slot_size"]) < int64_t(large.size()));
}

TEST_CASE("an image built for another flash layout is refused") {
  Bench b;
  b.want(7, program(2, kSize, 0x10180000));
  b.run(2 * minute);
  CHECK(b.runs_old());
  CHECK(b.all() == "downloading, failed format");
}

TEST_CASE("an old image that cannot be had any more leaves the new one, which goes on trying") {
  Bench b;
  b.behaviour() = {200, Reset::crash};
  b.want(7, b.next);
  b.run(2 * minute, [&] {
    if (b.starts.size() == 2) b.files.files[PicoSlots::kKept][1000] ^= 1;
    return b.starts.size() >= 2;
  });
  b.behaviour() = Behaviour();
  b.cut(Reset::crash);
  b.run(10 * minute);
  CHECK(b.runs_next());
  CHECK(b.number("decided") == 7);
  CHECK(b.all() == "downloading, verified, applied, confirmed");
}

// --- Power cuts --------------------------------------------------------------------------

namespace {

// FLOTA_FULL=1 tries every byte, or as many as told.
uint64_t stride(uint64_t quick, uint64_t full = 1) { return std::getenv("FLOTA_FULL") != nullptr ? full : quick; }

struct Outcomes {
  Behaviour behaviour;
  bool ends_with_next = true;
  std::string report = "confirmed";

  uint64_t run(const std::vector<uint64_t> &cuts) const {
    Bench b;
    b.behaviour() = behaviour;
    uint64_t before = b.m.power.written;
    b.want(7, b.next);
    auto done = [&] {
      return b.agent() != nullptr && !b.agent()->pending() && b.number("decided") == 7 &&
             b.files.files.count("flota/t.trial") == 0 && b.files.files.count("flota/t.reports") == 0 &&
             b.runs_next() == ends_with_next;
    };
    uint64_t until = b.m.power.now + 24 * hour;
    for (uint64_t cut : cuts) {
      b.m.power.cut_at = b.m.power.written + cut;
      b.run(until - b.m.power.now, [&] { return b.m.power.cut_at == UINT64_MAX || done(); });
    }
    b.m.power.cut_at = UINT64_MAX;
    if (b.m.power.now < until) b.run(until - b.m.power.now, done);
    CHECK(done());
    CHECK(b.number("accepted") == 7);
    CHECK(b.server.images <= int(cuts.size()) + 1);
    std::set<std::string> said(b.server.reports.begin(), b.server.reports.end());
    for (const std::string &word : said) {
      CHECK((word == "downloading" || word == "verified" || word == "applied" || word == report));
    }
    CHECK(said.count(report) == 1);
    return b.m.power.written - before;
  }

  void everywhere(uint64_t step) const {
    uint64_t all = run({}), tried = 0;
    REQUIRE(all > 2 * kSize);
    for (uint64_t cut = 0; cut < all; cut += step, tried++) {
      CAPTURE(cut);
      run({cut});
    }
    std::printf("%llu power cuts within %llu bytes, and the same end: %s\n", (unsigned long long)tried,
                (unsigned long long)all, report.c_str());
  }
};

}  // namespace

TEST_CASE("a cut at any byte of an update") { Outcomes().everywhere(stride(97)); }

TEST_CASE("a cut at any byte of an update to an image that crashes") {
  for (bool before_agent : {false, true}) {
    Outcomes o;
    o.behaviour = {200, Reset::crash, before_agent};
    o.ends_with_next = false;
    o.report = "rolled_back crash";
    o.everywhere(stride(197));
  }
}

TEST_CASE("a cut at any byte of an update to an image that never checks in") {
  Outcomes o;
  o.behaviour.online = false;
  o.ends_with_next = false;
  o.report = "rolled_back no_checkin";
  o.everywhere(stride(1999, 97));
}

TEST_CASE("many cuts one after the other") {
  std::random_device device;
  unsigned seed = std::getenv("FLOTA_SEED") != nullptr ? unsigned(std::atoi(std::getenv("FLOTA_SEED"))) : device();
  CAPTURE(seed);  // FLOTA_SEED repeats it
  std::mt19937 generator(seed);
  for (int i = 0; i < (stride(2) == 1 ? 2000 : 100); i++) {
    std::vector<uint64_t> cuts;
    for (unsigned n = 2 + generator() % 6; n > 0; n--)
      cuts.push_back(generator() % (generator() % 3 == 0 ? 70'000 : 3'000));
    CAPTURE(i);
    Outcomes().run(cuts);
  }
}
