#if defined(ARDUINO_ARCH_RP2040)

#include "station.h"

#include <WiFi.h>
#include <pico/cyw43_arch.h>
#include <string.h>

#include "../flota/provision.h"

namespace flota {

namespace {

constexpr uint32_t kGrace = 5000;  // milliseconds from the start, for a sketch's own WiFi.begin()

// why is what the radio says of the last try.
const char *why() {
  switch (cyw43_wifi_link_status(&cyw43_state, CYW43_ITF_STA)) {
    case CYW43_LINK_NONET:
      return "no_ssid";
    case CYW43_LINK_BADAUTH:
      return "wrong_password";
    default:
      return "connecting";
  }
}

}  // namespace

// taken_over tells whether the sketch began with a network or an access point, now or after we did.
bool Station::taken_over() const {
  const char *ssid = WiFi.SSID().c_str();
  return ssid[0] != 0 && strcmp(ssid, ssid_) != 0;
}

void Station::step(uint64_t now_ms, bool connected) {
  if (grace_ == 0) grace_ = kGrace;
  if (taken_over()) {
    state_ = "connecting";
    return;
  }
  if (reload_.exchange(false)) {
    turns_.restart();
    grace_ = now_ms;
  } else if (connected) {
    turns_.connected(now_ms);
    return;
  }
  if (now_ms >= grace_) join(now_ms);
}

void Station::join(uint64_t now_ms) {
  Wifi networks[kMaxNetworks];
  size_t count = get_wifi(storage_, networks);
  int turn = turns_.next(now_ms, count);
  if (count == 0) state_ = "none";
  if (turn >= 0) {
    const Wifi &network = networks[turn];
    strcpy(ssid_, network.ssid);
    state_ = "connecting";
    WiFi.begin(network.ssid, network.password[0] != 0 ? network.password : nullptr);
    state_ = why();
  }
  wipe(networks, sizeof networks);
}

}  // namespace flota

#endif
