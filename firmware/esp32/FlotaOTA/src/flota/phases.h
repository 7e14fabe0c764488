// The status LED: what it does in each phase, as a pattern of two seconds in steps of
// a tenth. README.md of firmware/esp32 shows them. For adapters whose machine has one.
#pragma once

#include "ports.h"

namespace flota {

constexpr uint32_t kPhaseStep = 100;  // milliseconds
constexpr uint32_t kPhaseSteps = 20;

// phase has a bit for each step, the first the lowest: 1 is on.
inline uint32_t phase(Light light) {
  switch (light) {
    case Light::idle:
      return 0x00001;  // a short blink
    case Light::offline:
      return 0x07C1F;  // half a second on, half a second off
    case Light::checking:
      return 0x00005;  // two short blinks
    case Light::downloading:
      return 0x55555;  // fast
    case Light::installing:
      return 0xFFFFF;  // on
    case Light::failed:
      return 0x00015;  // three short blinks
  }
  return 0;
}

inline bool lit(Light light, uint32_t step) { return (phase(light) >> (step % kPhaseSteps)) & 1; }

// Debounced tells a button that is held from one that bounces.
class Debounced {
 public:
  // step takes what the pin says now and tells whether it has been down for long enough.
  bool step(bool down, uint64_t now_ms) {
    if (down != down_) {
      down_ = down;
      since_ = now_ms;
    }
    return down_ && now_ms - since_ >= kHeld;
  }

 private:
  static constexpr uint32_t kHeld = 30;
  bool down_ = false;
  uint64_t since_ = 0;
};

}  // namespace flota
