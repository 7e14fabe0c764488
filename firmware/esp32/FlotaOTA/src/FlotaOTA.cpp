#include "FlotaOTA.h"

#include <new>

#include "flota/agent.h"

namespace {

using flota::Event;

FlotaUpdate update_of(const Event &event) {
  return {FlotaState(event.state), event.percent, event.version, flota::word(event.reason), event.size};
}

// Callbacks are set by the sketch's task and called by the agent's.
class Callbacks final : public flota::Sketch {
 public:
  void update(const Event &event) override {
    if (auto callback = on_update.load()) callback(update_of(event));
  }
  bool accepts(const Event &event) override {
    auto callback = on_offer.load();
    return callback == nullptr || callback(update_of(event));
  }
  bool ready() override {
    auto callback = on_ready.load();
    return callback == nullptr || callback();
  }
  bool works() override {
    auto callback = on_self_test.load();
    return callback == nullptr || callback();
  }

  std::atomic<void (*)(const FlotaUpdate &)> on_update{nullptr};
  std::atomic<bool (*)(const FlotaUpdate &)> on_offer{nullptr};
  std::atomic<bool (*)()> on_ready{nullptr};
  std::atomic<bool (*)()> on_self_test{nullptr};
};

Callbacks callbacks;
std::atomic<bool> begun{false};

}  // namespace

FlotaOTAClass FlotaOTA;

// The agent is never destroyed: its task goes on whatever happens to the program.
flota::Agent &flota::agent() {
  alignas(Agent) static char room[sizeof(Agent)];
  static Agent *const agent = new (room) Agent(machine(), callbacks);
  return *agent;
}

void FlotaOTAClass::begin() {
  if (!begun.exchange(true)) flota::start([] { flota::agent().run(); });
}

void FlotaOTAClass::onUpdate(void (*callback)(const FlotaUpdate &)) { callbacks.on_update = callback; }
void FlotaOTAClass::onOffer(bool (*accept)(const FlotaUpdate &)) { callbacks.on_offer = accept; }
void FlotaOTAClass::onReady(bool (*safe)()) { callbacks.on_ready = safe; }
void FlotaOTAClass::onSelfTest(bool (*passed)()) { callbacks.on_self_test = passed; }

void FlotaOTAClass::check() { flota::agent().check(); }

bool FlotaOTAClass::checkNow(uint32_t timeout_ms) {
  begin();
  flota::Agent &agent = flota::agent();
  flota::Board &board = flota::machine().board;
  uint64_t end = board.millis() + timeout_ms;
  uint32_t before = agent.checkins();
  agent.check();
  while (agent.checkins() == before || agent.pending() || agent.busy()) {
    if (board.millis() >= end) return false;
    board.wait(20);
  }
  return true;
}

bool FlotaOTAClass::pending() { return flota::agent().pending(); }
bool FlotaOTAClass::provisioned() { return flota::provisioned(flota::machine().storage); }

const char *FlotaOTAClass::productId() {
  static char id[flota::kMaxId + 1];
  flota::get_text(flota::machine().storage, flota::key::product_id, id, sizeof id);
  return id;
}

const char *FlotaOTAClass::version() { return flota::agent().version(); }

int flota_start_before_setup() {
  FlotaOTA.begin();
  return 0;
}
