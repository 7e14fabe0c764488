// What a sketch sees: FlotaOTA.h. The agent's task is stepped whenever the sketch waits.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "FlotaOTA.h"
#include "server.h"

namespace {

void (*task)() = nullptr;
int started = 0;

struct World {
  test::Server server;
  test::Machine m;
};
World &world() {
  static World &w = *new World;
  return w;
}

// Ticking is the board whose waits let the agent run.
struct Ticking final : flota::Board {
  test::Lab &lab = world().m.board;
  bool inside = false;
  uint64_t millis() override { return lab.millis(); }
  void wait(uint32_t ms) override {
    lab.wait(ms);
    if (inside) return;
    inside = true;
    flota::agent().step();
    inside = false;
  }
  uint32_t random() override { return lab.random(); }
  flota::Reset reset() override { return flota::Reset::power; }
  [[noreturn]] void restart() override { lab.restart(); }
  void feed() override { lab.feed(); }
  bool pressed() override { return false; }
  void light(flota::Light light) override { lab.light(light); }
  const char *chip() override { return "ESP32"; }
  uint32_t free_heap() override { return 1; }
  int rssi() override { return 0; }
};

std::vector<std::string> told;
bool take = false;

}  // namespace

flota::Machine &flota::machine() {
  static Ticking &board = *new Ticking;
  test::Machine &m = world().m;
  static Machine &machine = *new Machine{m.wire, m.flash, m.storage, board, m.crypto, m.serial};
  return machine;
}

void flota::start(void (*agent)()) {
  started++;
  task = agent;
}

TEST_CASE("the API of the library") {
  test::Machine &m = world().m;
  test::Server &server = world().server;
  test::Bytes old = test::image(1, 5000), next = test::image(2, 6000);
  m.flash.flash(0, old);
  m.wire.server = [&](const std::string &raw) { return server.handle(raw); };

  CHECK(flota_start_before_setup() == 0);
  FlotaOTA.begin();
  CHECK(started == 1);
  CHECK(bool(task));
  CHECK_FALSE(FlotaOTA.provisioned());
  CHECK(std::string(FlotaOTA.productId()).empty());
  CHECK(std::string(FlotaOTA.version()).empty());

  server.give(m);
  flota::agent().begin();
  CHECK(FlotaOTA.provisioned());
  CHECK(std::string(FlotaOTA.productId()) == "bot_001");
  CHECK_FALSE(FlotaOTA.pending());
  CHECK(FlotaOTA.checkNow());
  CHECK(server.polls == 1);
  server.down = true;
  CHECK_FALSE(FlotaOTA.checkNow(3000));
  server.down = false;
  CHECK(FlotaOTA.checkNow());

  FlotaOTA.onUpdate([](const FlotaUpdate &u) {
    told.push_back(std::to_string(int(u.state)) + " " + u.version + " " + u.reason + " " + std::to_string(u.size));
  });
  FlotaOTA.onOffer([](const FlotaUpdate &u) { return take && std::string(u.version) == "1.4.0" && u.size == 6000; });
  FlotaOTA.onReady([] { return true; });
  server.want(7, next);
  CHECK(FlotaOTA.checkNow());  // it was refused: there is nothing to do
  CHECK(told == std::vector<std::string>{std::to_string(int(FlotaState::failed)) + " 1.4.0 vetoed 6000"});
  CHECK(server.reports.back() == "failed vetoed");

  take = true;
  server.want(8, next);
  bool restarted = false;
  try {
    FlotaOTA.checkNow();  // it does not return
  } catch (const test::Ended &) {
    restarted = true;
  }
  CHECK(restarted);
  CHECK(told.back() == std::to_string(int(FlotaState::applied)) + " 1.4.0  6000");
}
