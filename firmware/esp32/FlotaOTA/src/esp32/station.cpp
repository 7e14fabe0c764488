#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "station.h"

#include <WiFi.h>
#include <esp_system.h>
#include <esp_wifi.h>
#include <string.h>

#include "../flota/provision.h"

namespace flota {

namespace {

constexpr uint32_t kGrace = 5000;          // milliseconds from the start, for a sketch's own WiFi.begin()
constexpr uint32_t kGraceAwake = 300;      // after deep sleep every moment costs
constexpr uint32_t kSwitchedOff = 300000;  // until a radio that the sketch switched off is needed again

bool station_on() { return (WiFi.getMode() & WIFI_MODE_STA) != 0; }

// configured gives the network that the station is set to; "" when to none.
void configured(char ssid[33]) {
  wifi_config_t config;
  memset(&config, 0, sizeof config);
  esp_wifi_get_config(WIFI_IF_STA, &config);
  memcpy(ssid, config.sta.ssid, 32);
  ssid[32] = 0;
}

}  // namespace

// taken_over tells whether the sketch joined a network, now or after we did.
bool Station::taken_over() {
  char ssid[33];
  if (!station_on()) return false;
  configured(ssid);
  return ssid[0] != 0 && strcmp(ssid, ssid_) != 0;
}

void Station::step(uint64_t now_ms, bool connected) {
  if (grace_ == 0) grace_ = now_ms + (esp_reset_reason() == ESP_RST_DEEPSLEEP ? kGraceAwake : kGrace);
  if (whose_ == Whose::ours && !station_on()) {
    whose_ = Whose::nobodys;
    ssid_[0] = 0;
    grace_ = now_ms + kSwitchedOff;
  }
  if (taken_over()) {
    whose_ = Whose::theirs;
    ssid_[0] = 0;
    return;
  }
  if (whose_ == Whose::theirs) {  // until it switched the station off again
    whose_ = Whose::nobodys;
    grace_ = now_ms + kSwitchedOff;
  }
  if (reload_.exchange(false)) {
    turns_.restart();
    if (whose_ == Whose::nobodys) grace_ = now_ms;
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
  if (turn >= 0) {
    const Wifi &network = networks[turn];
    // Into memory alone: who tries several would wear out the flash.
    if (WiFi.getMode() == WIFI_MODE_NULL) WiFi.persistent(false);
    strcpy(ssid_, network.ssid);
    whose_ = Whose::ours;
    WiFi.begin(network.ssid, network.password[0] != 0 ? network.password : nullptr);
  }
  wipe(networks, sizeof networks);
}

const char *Station::state() const {
  if (whose_ == Whose::nobodys) return "none";
  switch (WiFi.status()) {
    case WL_NO_SSID_AVAIL:
      return "no_ssid";
    case WL_CONNECT_FAILED:
      return "wrong_password";
    default:
      return "connecting";
  }
}

}  // namespace flota

#endif
