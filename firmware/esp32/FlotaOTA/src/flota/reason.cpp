#include "reason.h"

namespace flota {

const char *word(State state) {
  static const char *const words[kStates] = {"downloading", "verified", "applied",
                                             "confirmed",   "failed",   "rolled_back"};
  return words[uint8_t(state)];
}

const char *word(Reason reason) {
  static const char *const words[kReasons] = {"",          "format",    "target",   "board",     "replay",  "downgrade",
                                              "too_large", "signature", "digest",   "storage",   "network", "vetoed",
                                              "crash",     "watchdog",  "selftest", "no_checkin"};
  return words[uint8_t(reason)];
}

}  // namespace flota
