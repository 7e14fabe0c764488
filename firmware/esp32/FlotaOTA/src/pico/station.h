// Wi-Fi from the networks in the storage, where the sketch does not see to it.
#pragma once
#if defined(ARDUINO_ARCH_RP2040)

#include <atomic>

#include "../flota/ports.h"
#include "../flota/turns.h"

namespace flota {

// Station joins a network when nobody else did: not in the first seconds, in which a sketch
// calls WiFi.begin(), and not at all in one that the sketch named, or where it opened an access point.
class Station {
 public:
  explicit Station(Storage &storage) : storage_(storage) {}

  // step is called often, with whether there is a connection of any kind. It may take half a
  // minute: arduino-pico's WiFi.begin() waits, and the sketch runs meanwhile.
  void step(uint64_t now_ms, bool connected);
  // reload says that the networks in the storage are others now; any thread may.
  void reload() { reload_ = true; }
  // state is the protocol's for what becomes of it, "connected" apart.
  const char *state() const { return state_; }

 private:
  bool taken_over() const;
  void join(uint64_t now_ms);

  Storage &storage_;
  std::atomic<bool> reload_{false};
  std::atomic<const char *> state_{"none"};
  Turns turns_;
  uint64_t grace_ = 0;  // until then the station is the sketch's to begin
  char ssid_[33] = "";  // the network that was begun here
};

}  // namespace flota

#endif
