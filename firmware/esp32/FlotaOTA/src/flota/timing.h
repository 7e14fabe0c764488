// When what is done (device protocol, "Transport rules", "Poll" and "Installing").
// Milliseconds. No digit separators: arduino-esp32 2.x compiles C++11, and so must all of this folder.
#pragma once

#include <stdint.h>

namespace flota {

constexpr uint32_t kNoProgress = 30000;   // a request that stands still
constexpr uint32_t kConnect = 15000;      // until a connection is there
constexpr uint32_t kSession = 3600000;    // until a download is broken off for a fresh link
constexpr uint32_t kMaxWait = 3600000;    // between two polls
constexpr uint32_t kLater = 60000;        // a Retry-After that is missing
constexpr uint32_t kUsual = 60000;        // an X-Flota-Poll that is missing
constexpr uint32_t kTrial = 300000;       // T: how long a new image may take to check in
constexpr uint32_t kFirstLoss = 10000;    // until the next trial after a loss of power
constexpr uint32_t kPendingWait = 30000;  // between two polls on trial, at most
constexpr uint8_t kMaxTries = 3;          // trials without a check-in
constexpr uint8_t kMaxFailed = 3;         // downloads that are complete and wrong
constexpr uint32_t kGrace = 500;          // after the start: the sketch sets its callbacks
constexpr uint32_t kTick = 50;            // between two looks at button, cable and clock
constexpr uint32_t kProgress = 15000;     // between two reports of a download
constexpr uint32_t kAskReady = 1000;      // between two questions whether a restart is safe

// after_poll is the interval and 0 to 10 % more.
inline uint32_t after_poll(uint32_t interval, uint32_t random) { return interval + random % (interval / 10 + 1); }

// back_off is 5 s, doubled with each failure in a row up to 3600 s, each ± 25 %.
inline uint32_t back_off(uint8_t failures, uint32_t random) {
  uint32_t wait = failures < 10 ? uint32_t(5000) << failures : kMaxWait;
  if (wait > kMaxWait) wait = kMaxWait;
  return wait - wait / 4 + random % (wait / 2 + 1);
}

}  // namespace flota
