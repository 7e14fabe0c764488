// Which of the known networks is tried, and when: in their order, each for a while, and
// after the last a pause that grows. Nothing in here touches the radio.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

class Turns {
 public:
  static constexpr uint32_t kTry = 15000;         // milliseconds for one network
  static constexpr uint32_t kFirstPause = 10000;  // after a round in which none was reached
  static constexpr uint32_t kMaxPause = 60000;

  // next is asked again and again while there is no connection. It returns the number of the
  // network to join now, or -1: go on with what was begun.
  int next(uint64_t now_ms, size_t networks) {
    if (networks == 0 || now_ms < until_) return -1;
    if (turn_ >= networks) {
      turn_ = 0;
      until_ = now_ms + pause_;
      pause_ = pause_ < kMaxPause / 2 ? 2 * pause_ : uint32_t(kMaxPause);
      return -1;
    }
    until_ = now_ms + kTry;
    current_ = (first_ + turn_++) % networks;
    return int(current_);
  }

  // connected says that there is a connection. When it breaks, the radio joins again by
  // itself; where that does not help, the network that worked last has the first turn.
  void connected(uint64_t now_ms) {
    first_ = current_;
    turn_ = 0;
    pause_ = kFirstPause;
    until_ = now_ms + kTry;
  }

  // restart begins with the first network, at once.
  void restart() { *this = Turns(); }

 private:
  size_t first_ = 0, turn_ = 0, current_ = 0;
  uint32_t pause_ = kFirstPause;
  uint64_t until_ = 0;
};

}  // namespace flota
