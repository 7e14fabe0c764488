#include "WiFi.h"

WiFiClass WiFi;

wl_status_t WiFiClass::begin(const char *ssid, const char *) {
  ssid_ = ssid;
  return status_ = WL_CONNECTED;
}

bool WiFiClass::disconnect(bool off, bool) {
  if (off) mode_ = WIFI_OFF;
  status_ = WL_DISCONNECTED;
  return true;
}
