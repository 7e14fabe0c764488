// Wi-Fi from the networks in the storage, where the sketch does not see to it.
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <atomic>

#include "../flota/ports.h"
#include "../flota/turns.h"

namespace flota {

// Station joins a network when nobody else did: not in the first seconds, in which a sketch
// calls WiFi.begin(), and not at all in one that the sketch named. An access point of the
// sketch's stays.
class Station {
 public:
  explicit Station(Storage &storage) : storage_(storage) {}

  // step is called often, with whether there is a connection of any kind.
  void step(uint64_t now_ms, bool connected);
  // reload says that the networks in the storage are others now; any task may.
  void reload() { reload_ = true; }
  // state is the protocol's for what becomes of it, "connected" apart.
  const char *state() const;

 private:
  enum class Whose : uint8_t { nobodys, ours, theirs };

  bool taken_over();
  void join(uint64_t now_ms);

  Storage &storage_;
  std::atomic<bool> reload_{false};
  std::atomic<Whose> whose_{Whose::nobodys};
  Turns turns_;
  uint64_t grace_ = 0;  // until then the station is the sketch's to begin
  char ssid_[33] = "";  // the network that was begun here
};

}  // namespace flota

#endif
