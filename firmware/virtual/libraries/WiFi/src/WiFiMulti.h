#pragma once
#include "WiFi.h"

// WiFiMulti joins the first of its networks that can be joined.
class WiFiMulti {
 public:
  bool addAP(const char *ssid, const char *password = nullptr) {
    if (!ssid || !*ssid || known_ == 8) return false;
    ssids_[known_] = ssid;
    passwords_[known_++] = password ? password : "";
    return true;
  }
  uint8_t run(uint32_t = 5000) {
    if (WiFi.isConnected()) return WL_CONNECTED;
    for (int i = 0; i < known_; i++)
      if (WiFi.begin(ssids_[i], passwords_[i]) == WL_CONNECTED) return WL_CONNECTED;
    return WiFi.status();
  }

 private:
  String ssids_[8], passwords_[8];
  int known_ = 0;
};
