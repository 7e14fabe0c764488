// The words of reports.
#pragma once

#include <stdint.h>

namespace flota {

enum class State : uint8_t { downloading, verified, applied, confirmed, failed, rolled_back };

enum class Reason : uint8_t {
  none,
  format,
  target,
  board,
  replay,
  downgrade,
  too_large,
  signature,
  digest,
  storage,
  network,
  vetoed,
  crash,
  watchdog,
  selftest,
  no_checkin
};

constexpr uint8_t kStates = uint8_t(State::rolled_back) + 1;
constexpr uint8_t kReasons = uint8_t(Reason::no_checkin) + 1;

// word is the protocol's; "" for Reason::none.
const char *word(State state);
const char *word(Reason reason);

}  // namespace flota
