// The agent as a whole, against a server and a machine in memory: hours pass at once.
#include "agent.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "server.h"

using namespace flota;
using test::Behaviour;
using test::Bytes;
using test::image;
using test::Request;
using test::Served;

namespace {

constexpr uint64_t second = 1000, minute = 60 * second, hour = 60 * minute;
constexpr size_t size = 150'000;

// Bench is a device that runs what came by cable, and its server.
struct Bench {
  test::Server server;
  test::Machine m;
  Bytes old = image(1, size), next = image(2, size);

  Bench() {
    server.give(m);
    m.flash.flash(0, old);
    m.known[test::sha256(old)] = "old";
  }
  void want(long long number, const std::function<void(test::Server::Deployment &)> &change = nullptr) {
    server.want(number, next, [&](auto &d) {
      d.version = "next";
      if (change) change(d);
    });
    m.known[test::sha256(next)] = "next";
  }
  Behaviour &behaviour() { return m.behaviours[test::sha256(next)]; }
  int64_t number(const char *key) { return get_number(m.storage, key); }
  bool runs_next() const { return m.running() == test::sha256(next); }
  bool runs_old() const { return m.running() == test::sha256(old); }
  bool said(const std::string &word) const {
    return std::find(server.reports.begin(), server.reports.end(), word) != server.reports.end();
  }
  std::string all() const {
    std::string text;
    for (const std::string &r : server.reports) {
      if (text.size() < r.size() || text.substr(text.size() - r.size()) != r) text += (text.empty() ? "" : ", ") + r;
    }
    return text;
  }
  // A way to answer requests for one path.
  void before(const std::string &path, const std::function<bool(const Request &, Served &)> &answer) {
    server.before = [=](const Request &r, Served &s) { return r.path.rfind(path, 0) == 0 && answer(r, s); };
  }
};

}  // namespace

TEST_CASE("an update, from the offer to its confirmation") {
  Bench b;
  b.want(7, [](auto &d) { d.security_version = 2; });
  b.m.run(2 * minute);
  CHECK(b.runs_next());
  CHECK(b.m.flash.states[1] == test::Flash::valid);
  CHECK(b.all() == "downloading, verified, applied, confirmed");
  CHECK(b.number("accepted") == 7);
  CHECK(b.number("decided") == 7);
  CHECK(b.number("secversion") == 2);
  CHECK(b.m.told == std::vector<std::string>{"verified", "applied", "confirmed"});
  CHECK(b.m.starts == std::vector<std::string>{"old", "next"});
  CHECK(b.server.images == 1);
  CHECK(b.server.image_bytes == size);
  CHECK(b.m.storage.values.count("t.trial") == 0);
  CHECK(b.m.storage.values.count("t.fetch") == 0);
  CHECK(b.m.storage.values.count("t.reports") == 0);
  CHECK_FALSE(b.m.agent()->busy());
  CHECK(std::string(b.m.agent()->version()) == "next");
  // From then on it says so.
  b.m.run(2 * minute);
  CHECK(b.server.requests.back().get("if-none-match") == "\"7\"");
  CHECK(b.server.requests.back().get("x-flota-running") == test::sha256(b.next));
  auto report = nlohmann::json::parse(b.server.bodies.back());
  CHECK(report["version"] == "next");
  CHECK(report["chip"] == "ESP32-C3");
  CHECK(report["rollback"] == "bootloader");
  CHECK(report["slot_size"] == test::Flash::kSlot);
  CHECK(report["agent"] == "FlotaOTA/1.0");
  CHECK(report["running"] == test::sha256(b.next));
  CHECK(report["rssi"] == -61);
  CHECK(b.m.board.longest < 30 * second);
}

TEST_CASE("polls: the interval, the button, a sketch that asks, the clock") {
  Bench b;
  b.server.poll_s = 600;
  b.m.run(5 * second);
  CHECK(b.server.polls == 1);
  CHECK(b.server.clocks == 1);  // it learnt the time
  b.m.run(590 * second);
  CHECK(b.server.polls == 1);
  b.m.run(70 * second);
  CHECK(b.server.polls == 2);
  CHECK(b.server.clocks == 1);
  b.m.board.button = true;
  b.m.run(second);
  CHECK(b.server.polls == 3);
  b.m.run(second);
  CHECK(b.server.polls == 3);  // it is still pressed
  b.m.board.button = false;
  b.m.run(second);
  b.m.agent()->check();
  uint32_t before = b.m.agent()->checkins();
  b.m.run(second);
  CHECK(b.server.polls == 4);
  CHECK(b.m.agent()->checkins() == before + 1);
  b.server.clock += 5000;  // the server's clock was wrong, or ours is now
  b.m.agent()->check();
  b.m.run(second);
  CHECK(b.server.clocks == 2);
  CHECK(b.server.polls == 5);
  b.server.poll_s = 100000;  // no longer than an hour
  b.m.agent()->check();
  b.m.run(second);
  b.m.run(hour + hour / 10 + second);
  CHECK(b.server.polls == 7);
}

TEST_CASE("what it waits after which answer") {
  struct Row {
    const char *what;
    int status;
    std::string headers;
    uint64_t least, most;  // until the next poll, in seconds
    const char *word;      // for the cable
  };
  for (const Row &row :
       {Row{"an error", 500, "", 3, 7, "unreachable"}, Row{"unknown", 401, "", 3590, 3610, "unknown_device"},
        Row{"a clock that does not help", 401, "X-Flota-Clock: 5\r\n", 3590, 3610, "clock"},
        Row{"forbidden", 403, "", 60, 67, "unreachable"},
        Row{"later", 429, "Retry-After: 120\r\n", 119, 122, "unreachable"},
        Row{"later, nobody says when", 503, "", 59, 62, "unreachable"},
        Row{"much later", 503, "Retry-After: 99999\r\n", 3590, 3610, "unreachable"},
        Row{"never again so", 400, "", 60, 67, "unreachable"},
        Row{"a redirect", 302, "Location: http://elsewhere/\r\n", 3, 7, "unreachable"},
        Row{"a teapot", 418, "", 3, 7, "unreachable"},
        Row{"chunked", 200, "Transfer-Encoding: chunked\r\n", 3, 7, "unreachable"},
        Row{"no MAC", 204, "X-Flota-Poll: 5\r\n", 3, 7, "unreachable"}}) {
    CAPTURE(row.what);
    Bench b;
    std::vector<uint64_t> times;
    b.server.before = [&](const Request &, Served &s) {
      if (times.empty() || b.m.power.now - times.back() > 2500) times.push_back(b.m.power.now);
      s = test::Server::plain(row.status, row.headers);
      return true;
    };
    b.m.run(2 * hour, [&] { return times.size() > 1; });
    REQUIRE(times.size() > 1);
    CHECK(times[1] - times[0] >= row.least * second);
    CHECK(times[1] - times[0] <= row.most * second);
    CHECK(std::string(b.m.agent()->status().server) == row.word);
    CHECK(b.m.wire.host == "flota.local");
    CHECK(b.m.agent()->checkins() == 0);
  }
}

TEST_CASE("an outage: polls back off, and come back") {
  Bench b;
  b.server.down = true;
  b.m.run(24 * hour);
  size_t asked = b.server.requests.size();
  CHECK(asked > 25);
  CHECK(asked < 45);
  b.server.down = false;
  b.m.run(75 * minute, [&] { return b.server.polls > 0; });
  CHECK(b.server.polls == 1);
  CHECK(std::string(b.m.agent()->status().server) == "ok");
}

TEST_CASE("a server that stands still, or drips, is left after 30 s") {
  for (bool drips : {false, true}) {
    Bench b;
    b.want(7);
    b.before("/d/v1/update", [&](const Request &r, Served &s) {
      s = b.server.answer(r, 204, "");
      if (drips) {
        s.piece = 1;
        s.ms_per_piece = 5000;
      } else {
        s.cut = 20;
        s.hangs = true;
      }
      return true;
    });
    b.m.run(4 * minute);
    CHECK(b.server.requests.size() >= 4);
    CHECK(b.m.agent()->checkins() == 0);
    CHECK(b.m.board.longest <= 31 * second);
  }
}

TEST_CASE("statements that are refused: reported, decided, nothing is touched") {
  struct Row {
    const char *reason;
    std::function<void(test::Server::Deployment &)> change;
    int64_t decided;
  };
  for (const Row &row :
       {Row{"signature", [](auto &d) { d.signer = &test::new_key(); }, 0},
        Row{"format", [](auto &d) { d.format = 2; }, 7}, Row{"too_large", [](auto &d) { d.kind = "filesystem"; }, 7},
        Row{"format", [](auto &d) { d.kind = "index"; }, 7}, Row{"target", [](auto &d) { d.device = "dev2"; }, 7},
        Row{"target", [](auto &d) { d.workspace = "ws2"; }, 7},
        Row{"board", [](auto &d) { d.board = "flota:virtual:esp32:x=1"; }, 7},
        Row{"downgrade", [](auto &d) { d.security_version = 1; }, 7},
        Row{"too_large", [](auto &d) { d.size = test::Flash::kSlot + 1; }, 7},
        Row{"too_large", [](auto &d) { d.size = 5'000'000'000; }, 7}}) {
    CAPTURE(row.reason);
    Bench b;
    put_number(b.m.storage, "secversion", 2);
    b.want(7, [&](auto &d) {
      d.security_version = 2;
      row.change(d);
    });
    b.m.run(90 * second);
    CHECK(b.all() == std::string("failed ") + row.reason);
    CHECK(b.number("decided") == row.decided);
    CHECK(b.number("accepted") == 0);
    CHECK(b.server.images == 0);
    CHECK(b.m.flash.bytes_written == 0);
    CHECK(b.runs_old());
    CHECK(b.server.polls == 2);  // at the usual time
    CHECK(nlohmann::json::parse(b.server.bodies.back())["deployment"] == row.decided);
  }
}

TEST_CASE("an older deployment is refused, an equal one is another try") {
  Bench b;
  b.want(7);
  b.m.run(2 * minute);
  REQUIRE(b.runs_next());
  b.next = image(3, size);
  b.want(6);
  b.m.run(2 * minute);
  CHECK(b.said("failed replay"));
  CHECK(b.number("decided") == 6);
  CHECK(b.number("accepted") == 7);
}

TEST_CASE("the statement's key replaces the other one before the first byte is fetched") {
  Bench b;
  b.want(7, [](auto &d) { d.keys = test::new_key().point(); });
  b.before("/d/v1/image", [](const Request &, Served &s) {
    s = test::Server::plain(404);
    return true;
  });
  b.m.run(5 * second);
  CHECK(b.number("accepted") == 7);
  CHECK(b.m.storage.values["keys"] == test::first_key().point() + test::new_key().point());
  b.server.before = nullptr;
  b.m.run(2 * minute);
  CHECK(b.runs_next());
  // What the replaced key signs is believed no more.
  b.next = image(3, size);
  b.want(8, [](auto &d) { d.signer = &test::second_key(); });
  b.m.run(2 * minute);
  CHECK(b.said("failed signature"));
  b.want(9, [](auto &d) { d.signer = &test::new_key(); });
  b.m.run(2 * minute);
  CHECK(b.runs_next());
}

TEST_CASE("offers that are none") {
  Bench b;
  std::string statement;
  for (std::string body : {"hello", "[]", R"({"statement":{}})", R"({"statement":{},"link":"//elsewhere/x"})",
                           R"({"statement":{},"link":"http://elsewhere/x"})", R"({"statement":{},"link":"/a b"})",
                           R"({"statement":{},"link":"/a\r\nX: y"})", R"({"statement":7,"link":"/a"})"}) {
    CAPTURE(body);
    b.server.reports.clear();
    b.before("/d/v1/update", [&](const Request &r, Served &s) {
      s = b.server.answer(r, 200, body);
      return true;
    });
    b.m.run(62 * second, [&] { return !b.server.reports.empty(); });
    b.m.run(second);
    CHECK(b.all() == "failed format");
    CHECK(nlohmann::json::parse(b.server.bodies.back())["deployment"] == 0);
    CHECK(b.number("decided") == 0);
    b.m.run(10 * second);
  }
}

TEST_CASE("the sketch may refuse, and may let it wait") {
  Bench b;
  b.m.wanted = false;
  b.want(7);
  b.m.run(2 * minute);
  CHECK(b.all() == "failed vetoed");
  CHECK(b.number("decided") == 7);
  CHECK(b.number("accepted") == 0);
  CHECK(b.server.images == 0);
  b.m.wanted = true;
  b.m.safe = false;
  b.want(8);
  b.m.run(hour);
  CHECK(b.runs_old());
  CHECK(b.said("verified"));
  CHECK_FALSE(b.said("applied"));
  CHECK(b.server.images == 1);
  CHECK(b.server.polls > 50);  // it goes on polling
  CHECK(b.m.agent()->busy());
  SUBCASE("until it is safe") {
    b.m.safe = true;
    b.m.run(10 * second);
    CHECK(b.runs_next());
    CHECK(b.said("confirmed"));
  }
  SUBCASE("over a restart") {
    b.m.cut();
    b.m.run(5 * minute);
    CHECK(b.runs_old());
    b.m.safe = true;
    b.m.run(2 * minute);
    CHECK(b.runs_next());
    CHECK(b.server.images == 1);
  }
  SUBCASE("until it is not wanted any more") {
    b.server.want_nothing();
    b.m.run(2 * minute);
    b.m.safe = true;
    b.m.run(5 * minute);
    CHECK(b.runs_old());
    CHECK_FALSE(b.m.agent()->busy());
  }
}

TEST_CASE("a return to the old bytes fetches nothing") {
  Bench b;
  b.want(7);
  b.m.run(2 * minute);
  REQUIRE(b.runs_next());
  SUBCASE("that are in the other slot") {
    b.server.want(8, b.old, [](auto &d) { d.version = "old"; });
    b.m.run(2 * minute);
    CHECK(b.runs_old());
    CHECK(b.number("decided") == 8);
  }
  SUBCASE("that run") {
    b.server.want(8, b.next, [](auto &d) { d.version = "the same"; });
    b.m.run(2 * minute);
    CHECK(b.number("decided") == 8);
    CHECK(std::string(b.m.agent()->version()) == "the same");
    CHECK(b.m.starts.size() == 2);
  }
  CHECK(b.server.images == 1);
}

TEST_CASE("downloads that are cut go on where they stopped") {
  Bench b;
  b.want(7);
  int cuts = 0;
  b.before("/d/v1/image", [&](const Request &, Served &) { return false; });
  // Each connection breaks after 20,000 bytes of the body.
  b.m.wire.server = [&](const std::string &raw) {
    Served s = b.server.handle(raw);
    if (raw.find("/d/v1/image") != std::string::npos) {
      s.cut = s.answer.find("\r\n\r\n") + 4 + 20001;
      cuts++;
    }
    return s;
  };
  b.m.run(10 * minute);
  CHECK(b.runs_next());
  CHECK(cuts == 8);
  CHECK(b.m.flash.bytes_written == size);  // no byte twice
  CHECK(b.number("decided") == 7);
}

TEST_CASE("a download goes on after a loss of power") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.flash.bytes_written >= 140'000; });
  // The agent is within its download when the power goes: the bytes say when.
  b.m.power.cut_at = b.m.power.written + 1;
  b.m.run(5 * minute);
  CHECK(b.runs_next());
  CHECK(b.server.image_bytes <= 2 * size);
}

TEST_CASE("links: expired in mid-download, gone, lying") {
  Bench b;
  b.want(7);
  SUBCASE("an expired one is renewed at once") {
    b.before("/d/v1/image", [&](const Request &, Served &s) {
      if (b.server.images > 0 || b.server.link_version > 1) return false;
      b.server.link_version++;
      s = test::Server::plain(403);
      return true;
    });
    b.m.run(30 * second);
    CHECK(b.runs_next());
    CHECK(b.server.polls == 3);
  }
  SUBCASE("twice in a row: it waits") {
    int refused = 0;
    b.before("/d/v1/image", [&](const Request &, Served &s) {
      s = test::Server::plain(403);
      return ++refused <= 2;
    });
    b.m.run(50 * second);
    CHECK(b.runs_old());
    CHECK(refused == 2);
    b.m.run(2 * minute);
    CHECK(b.runs_next());
  }
  SUBCASE("404: at the usual time") {
    int refused = 0;
    b.before("/d/v1/image", [&](const Request &, Served &s) {
      s = test::Server::plain(404);
      return ++refused <= 1;
    });
    b.m.run(50 * second);
    CHECK(refused == 1);
    b.m.run(30 * second);
    CHECK(b.runs_next());
  }
  SUBCASE("another length, another range, no length, chunked, a redirect") {
    int asked = 0;
    b.before("/d/v1/image", [&](const Request &, Served &s) {
      switch (asked++) {
        case 0:
          s = test::Server::plain(200, "", std::string(100, 'x'));
          return true;
        case 1:
          s.answer = "HTTP/1.1 200 X\r\n\r\n" + std::string(100, 'x');
          return true;
        case 2:
          s.answer = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
          return true;
        case 3:
          s = test::Server::plain(302, "Location: http://elsewhere/\r\n");
          return true;
        case 4:
          s = test::Server::plain(206, "Content-Range: bytes 0-99/100\r\n", std::string(100, 'x'));
          return true;
        default:
          return false;
      }
    });
    b.m.run(10 * minute);
    CHECK(b.runs_next());
    CHECK(asked == 6);
    CHECK(b.m.flash.bytes_written == size);
  }
  SUBCASE("a range that is another, and a server without ranges") {
    int asked = 0;
    b.m.wire.server = [&](const std::string &raw) {
      Served s = b.server.handle(raw);
      if (raw.find("/d/v1/image") == std::string::npos) return s;
      size_t range = s.answer.find("Content-Range: bytes ");
      if (asked == 0) s.cut = 90000;
      if (asked == 1) s.answer[range + 21]++;
      if (asked == 2) s = test::Server::plain(200, "", std::string(b.next.begin(), b.next.end()));
      asked++;
      return s;
    };
    b.m.run(10 * minute);
    CHECK(b.runs_next());
    CHECK(asked == 3);
  }
}

TEST_CASE("bytes that are wrong are fetched three times in all") {
  Bench b;
  b.want(7);
  Bytes right = b.next;
  int wrong = 99;
  SUBCASE("twice") { wrong = 2; }
  SUBCASE("for ever") {}
  int asked = 0;
  b.before("/d/v1/image", [&](const Request &, Served &) {
    b.server.image = right;
    if (asked++ < wrong) b.server.image[77777] ^= 1;
    return false;
  });
  b.m.run(10 * minute);
  if (wrong == 2) {
    CHECK(b.runs_next());
    CHECK(asked == 3);
  } else {
    CHECK(b.runs_old());
    CHECK(asked == 3);
    CHECK(b.said("failed digest"));
    CHECK(b.number("decided") != 7);
    wrong = 0;  // whoever spoilt it has gone
    b.m.run(60 * minute);
    CHECK(b.runs_next());
  }
}

TEST_CASE("flash that fails") {
  Bench b;
  b.want(7);
  SUBCASE("twice") {
    b.m.flash.fail_writes = 2;
    b.m.run(5 * minute);
    CHECK(b.runs_next());
  }
  SUBCASE("for good") {
    b.m.flash.fail_writes = 1000;
    b.m.run(5 * minute);
    CHECK(b.runs_old());
    CHECK(b.said("failed storage"));
    CHECK(b.number("decided") == 7);
  }
}

TEST_CASE("what the machine could not start is refused before it is tried") {
  Bench b;
  b.next[0] = 0xe8;
  b.want(7);
  b.m.run(5 * minute);
  CHECK(b.runs_old());
  CHECK(b.said("failed format"));
  CHECK(b.m.starts.size() == 1);
}

TEST_CASE("storage that fails: the device runs what it ran, and gets well") {
  Bench b;
  b.m.run(5 * second);
  b.m.storage.fails = true;
  b.want(7);
  b.m.run(10 * minute);
  CHECK(b.runs_old());
  CHECK(b.server.images == 0);
  b.m.storage.fails = false;
  b.m.run(75 * minute);
  CHECK(b.runs_next());
}

TEST_CASE("a new image that crashes, hangs or fails its self-test is bad at once") {
  struct Row {
    const char *reason;
    Behaviour behaviour;
  };
  Behaviour early{50, Reset::crash, true}, late{200, Reset::crash}, hangs{5000, Reset::watchdog}, fails;
  fails.passes = false;
  for (bool rollback : {true, false}) {
    for (const Row &row : {Row{"crash", early}, Row{"crash", late}, Row{"watchdog", hangs}, Row{"selftest", fails}}) {
      if (!rollback && row.behaviour.before_agent) continue;  // that is what agent-only cannot undo
      CAPTURE(row.reason);
      CAPTURE(rollback);
      Bench b;
      b.m.flash.rollback = rollback;
      b.want(7);
      b.behaviour() = row.behaviour;
      if (row.behaviour.reset == Reset::watchdog) {
        // A hang of the agent: it never checks in.
        b.before("/d/v1/update", [&](const Request &r, Served &s) {
          s = test::Server::plain(500);
          return r.get("x-flota-running") == test::sha256(b.next);
        });
      }
      b.m.run(10 * minute);
      CHECK(b.runs_old());
      CHECK(b.said(std::string("rolled_back ") + row.reason));
      CHECK(b.number("decided") == 7);
      CHECK_FALSE(b.said("confirmed"));
      size_t starts = b.m.starts.size();
      CHECK(starts == (rollback || row.behaviour.passes == false ? 3 : 4));
      CHECK(nlohmann::json::parse(b.server.bodies.back())["rollback"] == (rollback ? "bootloader" : "agent-only"));
      // It is not tried again, also not when it is offered.
      b.m.run(3 * hour);
      CHECK(b.m.starts.size() == starts);
      CHECK(b.server.images == 1);
    }
  }
}

TEST_CASE("no check-in within T: three trials, then it is bad") {
  Bench b;
  b.want(7);
  b.behaviour().online = false;  // what is wrong with it
  b.m.run(40 * minute);
  CHECK(b.runs_old());
  CHECK(b.said("rolled_back no_checkin"));
  CHECK(std::count(b.m.starts.begin(), b.m.starts.end(), "next") == 3);
  CHECK(b.number("decided") == 7);
  CHECK(b.server.images == 1);
  b.m.run(5 * hour);
  CHECK(std::count(b.m.starts.begin(), b.m.starts.end(), "next") == 3);
}

TEST_CASE("a sketch that restarts while it is on trial counts like no check-in") {
  Bench b;
  b.want(7);
  b.behaviour() = {300, Reset::software};
  b.m.run(40 * minute);
  CHECK(b.runs_old());
  CHECK(b.said("rolled_back no_checkin"));
  CHECK(std::count(b.m.starts.begin(), b.m.starts.end(), "next") == 3);
}

TEST_CASE("a better deployment takes the place of one that waits for its next trial") {
  Bench b;
  b.want(7);
  b.behaviour().online = false;
  b.m.run(7 * minute);
  REQUIRE(b.runs_old());
  b.next = image(3, size);
  b.want(8);
  b.m.run(3 * minute);
  CHECK(b.runs_next());
  CHECK(b.number("decided") == 8);
}

TEST_CASE("one that is not wanted any more is not tried again, and a server that wants it again gets it") {
  Bench b;
  b.want(7);
  b.behaviour().online = false;
  b.m.run(7 * minute);
  REQUIRE(b.runs_old());
  b.server.want_nothing();
  b.m.run(5 * hour);
  CHECK(std::count(b.m.starts.begin(), b.m.starts.end(), "next") == 1);
  b.behaviour().online = true;
  b.want(7);
  b.m.run(3 * minute);
  CHECK(b.runs_next());
  CHECK(b.server.images == 1);
}

TEST_CASE("one that waits is not tried while something else is wanted, which this device refuses") {
  Bench b;
  b.want(7);
  b.behaviour().online = false;
  b.m.run(7 * minute);
  REQUIRE(b.runs_old());
  b.want(8, [](auto &d) { d.board = "another"; });
  b.m.run(5 * hour);
  CHECK(std::count(b.m.starts.begin(), b.m.starts.end(), "next") == 1);
  CHECK(b.number("decided") == 8);
}

TEST_CASE("a failed self-test with nothing to go back to: it goes on, and can be updated") {
  Bench b;
  b.m.flash.states[0] = test::Flash::fresh;
  b.m.behaviours[test::sha256(b.old)].passes = false;
  b.m.run(10 * minute);
  CHECK(b.m.starts.size() == 1);
  CHECK(b.m.flash.states[0] == test::Flash::valid);
  b.want(7);
  b.m.run(2 * minute);
  CHECK(b.runs_next());
}

TEST_CASE("an outage while an image is on trial blames nobody") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.server.down = true;
  b.m.run(20 * hour);
  CHECK(b.runs_old());
  CHECK_FALSE(b.said("rolled_back no_checkin"));
  size_t trials = size_t(std::count(b.m.starts.begin(), b.m.starts.end(), "next"));
  b.server.down = false;
  b.m.run(3 * hour);
  CHECK(b.runs_next());
  CHECK(b.number("decided") == 7);
  CHECK(trials <= 2);
  CHECK(b.server.images == 1);
}

TEST_CASE("loss of power and sleep count for nothing") {
  for (Reset reset : {Reset::power, Reset::brownout, Reset::sleep, Reset::external}) {
    Bench b;
    b.want(7);
    b.m.run(hour, [&] { return b.m.starts.size() == 2; });
    b.server.down = true;
    for (int i = 0; i < 5; i++) {
      b.m.cut(reset);
      b.m.run(30 * minute,
              [&] { return b.m.starts.back() == "next" && b.m.agent() != nullptr && b.m.agent()->pending(); });
      b.m.run(second);
    }
    b.server.down = false;
    b.m.run(3 * hour);
    CHECK(b.runs_next());
    CHECK(b.said("confirmed"));
    CHECK_FALSE(b.said("rolled_back no_checkin"));
  }
}

TEST_CASE("after a loss of power the next trial begins after 10 s") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.m.cut();
  b.m.run(8 * second);
  CHECK(b.runs_old());
  b.m.run(8 * second);
  CHECK(b.runs_next());
  CHECK(b.said("confirmed"));
}

TEST_CASE("a device that sleeps gets its trial when it wakes up again") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.m.cut(Reset::sleep);  // a sketch that did not ask pending()
  b.m.run(3 * second);
  b.m.run(minute, [&] { return b.runs_next(); });
  b.m.run(10 * second);
  CHECK(b.said("confirmed"));
}

TEST_CASE("nothing is known about a pending image: it is on trial all the same") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.m.storage.values.erase("t.trial");
  SUBCASE("and checks in") {
    // The flash is confirmed; the deployment is when it is offered.
    b.m.run(3 * minute);
    CHECK(b.runs_next());
    CHECK(b.m.flash.states[b.m.flash.active] == test::Flash::valid);
  }
  SUBCASE("and does not") {
    b.server.down = true;
    b.m.cut();
    b.m.run(second);
    CHECK(b.runs_old());
  }
}

TEST_CASE("storage that was lost while an image is on trial: back to the old one") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.m.storage.values.clear();
  b.m.cut();
  b.m.run(10 * minute);
  CHECK(b.runs_old());
  // And one that had not been restarted goes back after T.
  Bench c;
  c.want(7);
  c.m.run(hour, [&] { return c.m.starts.size() == 2; });
  c.m.storage.values.clear();
  c.m.agent()->changed();
  c.m.run(4 * minute);
  CHECK(c.runs_next());
  c.m.run(2 * minute);
  CHECK(c.runs_old());
}

TEST_CASE("garbage in the storage") {
  for (unsigned seed = 0; seed < 300; seed++) {
    CAPTURE(seed);
    Bench b;
    b.want(7);
    unsigned n = seed;
    for (const char *key :
         {"t.trial", "t.fetch", "t.offset", "t.running", "t.reports", "accepted", "decided", "secversion", "groups"}) {
      std::string value;
      for (unsigned i = 0, length = (n = n * 1103515245 + 12345) % 160; i < length; i++)
        value += char((n = n * 1103515245 + 12345) >> 16);
      if (n % 3 != 0) b.m.storage.values[key] = value;
      // 8 bytes that are no number of the protocol's.
      if (std::strlen(key) > 7 && key[1] != '.') b.m.storage.values[key] = std::string(8, char(0x80 | n));
    }
    b.m.run(5 * minute);
    REQUIRE(b.runs_next());
    REQUIRE(b.said("confirmed"));
  }
}

TEST_CASE("reports wait for better times, eight at most, the newest of each kind") {
  Bench b;
  bool closed = true;
  b.before("/d/v1/report", [&](const Request &, Served &s) {
    s = test::Server::plain(503);
    return closed;
  });
  b.want(7);
  b.m.run(2 * minute);
  CHECK(b.runs_next());  // without a report
  b.m.cut();
  b.m.run(5 * second);
  for (int i = 1; i < 12; i++) {
    b.want(7 + i, [](auto &d) { d.board = "another"; });
    b.m.run(70 * second);
  }
  CHECK(b.number("decided") == 18);
  closed = false;
  b.m.run(2 * minute);
  CHECK(b.server.reports == std::vector<std::string>(8, "failed board"));
  CHECK(nlohmann::json::parse(b.server.bodies.back())["deployment"] == 18);
  CHECK(nlohmann::json::parse(b.server.bodies.front())["deployment"] == 11);
}

TEST_CASE("a report that the server cannot read is dropped") {
  for (int status : {400, 413}) {
    Bench b;
    int asked = 0;
    b.before("/d/v1/report", [&](const Request &, Served &s) {
      asked++;
      s = test::Server::plain(status);
      return true;
    });
    b.want(7, [](auto &d) { d.board = "another"; });
    b.m.run(10 * minute);
    CHECK(asked == 1);
  }
}

TEST_CASE("TLS: the certificate that was given is pinned") {
  Bench b;
  b.m.storage.values["server"] = "https://[fe80::1]:8443";
  b.m.storage.values["ca"] = std::string(3999, 'c');
  b.want(7);
  b.m.run(2 * minute);
  CHECK(b.runs_next());
  CHECK(b.m.wire.tls);
  CHECK(b.m.wire.host == "fe80::1");
  CHECK(b.m.wire.port == 8443);
  CHECK(b.m.wire.ca == std::string(3999, 'c'));
  CHECK(b.server.requests.back().get("host") == "[fe80::1]:8443");
  for (const Request &r : b.server.requests) {
    for (const auto &h : r.header) CHECK(h.second.find(test::kKey) == std::string::npos);
  }
}

TEST_CASE("a bootloader that cannot be told: the check-in alone confirms what it does not hold on trial") {
  Bench b;
  b.want(7);
  b.m.run(hour, [&] { return b.m.starts.size() == 2; });
  b.m.flash.states[1] = test::Flash::valid;
  b.m.flash.confirms = false;
  b.m.run(3 * minute);
  CHECK(b.said("confirmed"));
  CHECK_FALSE(b.m.agent()->pending());
}

TEST_CASE("nobody can read the key off the wire, and no nonce comes twice") {
  Bench b;
  b.want(7);
  b.m.run(2 * minute);
  for (const Request &r : b.server.requests) {
    CHECK((r.path.rfind("/d/v1/image/", 0) == 0) == r.get("authorization").empty());
    CHECK(r.get("connection") == "close");
    CHECK(r.path.size() < 200);
  }
}

TEST_CASE("without a network it waits, and shows it") {
  Bench b;
  b.m.behaviours[test::sha256(b.old)].online = false;
  b.m.run(10 * minute);
  CHECK(b.m.wire.connections == 0);
  CHECK(b.m.board.lit == Light::offline);
  b.m.wire.up = true;
  b.m.run(second);
  CHECK(b.server.polls == 1);
  CHECK(b.m.board.lit == Light::idle);
}

TEST_CASE("given by the cable, and away it goes") {
  test::Server server;
  test::Machine m;
  Bytes old = image(1, size), next = image(2, size);
  m.flash.flash(0, old);
  m.known[test::sha256(old)] = "old";
  server.give(m);
  m.storage.values.clear();
  server.want(7, next, [](auto &d) { d.version = "next"; });
  m.serial.in = "boot noise\r\n{\"flota\":\"hello\"}\n";
  m.run(5 * second);
  CHECK(server.requests.empty());
  auto hello = nlohmann::json::parse(m.serial.out);
  CHECK(hello == nlohmann::json({{"flota", "hello"},
                                 {"agent", "FlotaOTA/1.0"},
                                 {"chip", "ESP32-C3"},
                                 {"mac", "a0b1c2d3e4f5"},
                                 {"board", ""},
                                 {"slot_size", test::Flash::kSlot},
                                 {"rollback", "bootloader"},
                                 {"provisioned", false}}));
  nlohmann::ordered_json line = {{"flota", "provision"},
                                 {"server", "http://flota.local:8081"},
                                 {"workspace", "ws1"},
                                 {"device", "dev1"},
                                 {"product_id", "bot_001"},
                                 {"key", test::kKey},
                                 {"keys", {test::base64(test::first_key().point())}},
                                 {"board", "flota:virtual:esp32"},
                                 {"wifi", {{{"ssid", "shed \"2\""}, {"password", "12345678"}}}}};
  m.serial.out.clear();
  m.serial.in = line.dump() + "\n";
  m.run(second);
  CHECK(nlohmann::json::parse(m.serial.out) == nlohmann::json({{"flota", "provisioned"}, {"device", "dev1"}}));
  Wifi networks[kMaxNetworks];
  REQUIRE(get_wifi(m.storage, networks) == 1);
  CHECK(std::string(networks[0].ssid) == "shed \"2\"");
  CHECK(std::string(networks[0].password) == "12345678");
  m.run(2 * minute);
  CHECK(m.running() == test::sha256(next));
  // The sketch has the cable to itself now.
  m.serial.in = "{\"flota\":\"hello\"}\n";
  m.serial.out.clear();
  m.run(5 * second);
  CHECK(m.serial.out.empty());
  CHECK(m.serial.in.size() == 18);
}

TEST_CASE("the dialogue: what was given before stays, or begins anew") {
  Bench b;
  b.want(7);
  b.m.run(2 * minute);
  std::vector<char> room(kMaxLine);
  Dialogue dialogue(b.m.ports, *b.m.agent(), room.data());
  auto say = [&](const nlohmann::ordered_json &line) {
    std::string text = line.dump() + "\n";
    b.m.serial.out.clear();
    // As it comes: 64 bytes at a time.
    for (size_t i = 0; i < text.size(); i += 64)
      dialogue.receive(reinterpret_cast<const uint8_t *>(text.data()) + i, std::min<size_t>(64, text.size() - i));
    return nlohmann::json::parse(b.m.serial.out);
  };
  nlohmann::ordered_json line = {{"flota", "provision"},
                                 {"server", "http://flota.local:8081"},
                                 {"workspace", "ws1"},
                                 {"device", "dev1"},
                                 {"product_id", "bot_002"},
                                 {"key", test::kKey},
                                 {"keys", {test::base64(test::first_key().point())}},
                                 {"board", "flota:virtual:esp32"}};
  CHECK(say({{"flota", "status"}}) == nlohmann::json({{"flota", "status"},
                                                      {"network", "connected"},
                                                      {"ip", ""},
                                                      {"rssi", -61},
                                                      {"server", "ok"},
                                                      {"deployment", 7},
                                                      {"version", "next"}}));
  CHECK(say(line)["flota"] == "provisioned");
  CHECK(b.number("accepted") == 7);
  CHECK(b.m.storage.values["product_id"] == "bot_002");
  CHECK(b.m.storage.values["keys"].size() == 65);
  line["device"] = "dev2";
  CHECK(say(line)["device"] == "dev2");
  CHECK(b.number("accepted") == 0);
  CHECK(b.number("decided") == 0);
  CHECK(b.m.storage.values.count("t.running") == 0);
  CHECK(say({{"flota", "wifi"}, {"wifi", {{{"ssid", "a"}}, {{"ssid", "b"}, {"password", "87654321"}}}}})["networks"] ==
        2);
  CHECK(nlohmann::json::parse(b.m.storage.values["wifi"]) ==
        nlohmann::json::array({{{"ssid", "a"}, {"password", ""}}, {{"ssid", "b"}, {"password", "87654321"}}}));
  CHECK(say({{"flota", "erase"}}) == nlohmann::json({{"flota", "erased"}}));
  CHECK(b.m.storage.values.empty());
  b.m.storage.fails = true;
  CHECK(say(line)["code"] == "storage");
  // A line of a length that is none, and one that follows it.
  b.m.storage.fails = false;
  std::string long_line = "{\"flota\":\"provision\",\"x\":\"" + std::string(kMaxLine, 'x') + "\"}";
  b.m.serial.out.clear();
  long_line += "\n";
  dialogue.receive(reinterpret_cast<const uint8_t *>(long_line.data()), long_line.size());
  CHECK(nlohmann::json::parse(b.m.serial.out)["code"] == "invalid");
  CHECK(say(line)["flota"] == "provisioned");
  for (const char *noise : {"", "{}", "[1]", "{\"flota\":7}", "{\"other\":1,\"flota\":\"erase\"}",
                            "hello {\"flota\":\"erase\"}", "{\"flota\""}) {
    CAPTURE(noise);
    b.m.serial.out.clear();
    std::string text = std::string(noise) + "\n";
    dialogue.receive(reinterpret_cast<const uint8_t *>(text.data()), text.size());
    CHECK(b.m.serial.out.empty());
  }
}
