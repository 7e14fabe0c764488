// What is started is what was hashed, whoever else wrote to the slot, and whoever the device
// belongs to by then.
#include <doctest/doctest.h>

#include "server.h"

using test::Bytes;
using test::image;

namespace {

constexpr uint64_t minute = 60'000;
constexpr size_t size = 150'000;

struct Bench {
  test::Server server;
  test::Machine m;
  Bytes old = image(1, size), next = image(2, size), other = image(3, size);

  Bench() {
    server.give(m);
    m.flash.flash(0, old);
    m.known = {{test::sha256(old), "old"}, {test::sha256(next), "next"}, {test::sha256(other), "other"}};
    server.want(7, next);
  }
};

}  // namespace

TEST_CASE("a slot that somebody else wrote while the sketch let an update wait is not started") {
  Bench b;
  b.m.safe = false;
  b.m.run(5 * minute);
  REQUIRE(b.server.images == 1);
  b.m.flash.flash(1, b.other);  // ArduinoOTA, for one: it can be started, and nobody signed it
  SUBCASE("the sketch says that it is safe") { b.m.safe = true; }
  SUBCASE("it says so when another deployment wants the same bytes") {
    b.server.want(8, b.next);
    b.server.before = [&](const test::Request &, test::Served &) { return b.m.safe = true, false; };
  }
  b.m.run(10 * minute);
  CHECK(b.server.images == 2);
  CHECK(b.m.starts == std::vector<std::string>{"old", "1.4.0"});
  CHECK(b.m.running() == test::sha256(b.next));
}

TEST_CASE("who gives the device away by cable does not get the update that was under way") {
  Bench b;
  b.server.before = [&](const test::Request &r, test::Served &) {
    if (r.path.rfind("/d/v1/image/", 0) == 0) {
      for (const char *key : {"accepted", "decided", "t.fetch", "t.offset"}) b.m.storage.values.erase(key);
      b.m.storage.values["workspace"] = "ws2";
      b.server.want_nothing();
      b.m.agent()->changed();
    }
    return false;
  };
  b.m.run(10 * minute);
  CHECK(b.server.images == 1);
  CHECK(b.m.starts == std::vector<std::string>{"old"});
  CHECK(b.m.running() == test::sha256(b.old));
}
