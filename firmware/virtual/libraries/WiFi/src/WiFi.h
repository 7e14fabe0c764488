#pragma once
#include <Arduino.h>

typedef enum {
  WL_IDLE_STATUS = 0,
  WL_NO_SSID_AVAIL = 1,
  WL_SCAN_COMPLETED = 2,
  WL_CONNECTED = 3,
  WL_CONNECT_FAILED = 4,
  WL_CONNECTION_LOST = 5,
  WL_DISCONNECTED = 6,
} wl_status_t;

typedef enum { WIFI_OFF = 0, WIFI_STA = 1, WIFI_AP = 2, WIFI_AP_STA = 3 } wifi_mode_t;

// WiFiClass: a network that is always there.
class WiFiClass {
 public:
  wl_status_t begin(const char *ssid = "", const char *password = nullptr);
  wl_status_t begin(const String &ssid, const String &password) { return begin(ssid.c_str(), password.c_str()); }
  wl_status_t status() const { return status_; }
  bool isConnected() const { return status_ == WL_CONNECTED; }
  uint8_t waitForConnectResult(unsigned long = 60000) const { return status_; }
  bool reconnect() { return begin(ssid_.c_str()) == WL_CONNECTED; }
  bool disconnect(bool off = false, bool erase = false);

  bool mode(wifi_mode_t m) { return mode_ = m, true; }
  wifi_mode_t getMode() const { return mode_; }
  bool setHostname(const char *name) { return hostname_ = name, true; }
  const char *getHostname() const { return hostname_.c_str(); }
  bool setSleep(bool) { return true; }
  bool setAutoReconnect(bool) { return true; }
  void persistent(bool) {}

  IPAddress localIP() const { return isConnected() ? IPAddress(127, 0, 0, 1) : IPAddress(); }
  IPAddress gatewayIP() const { return localIP(); }
  IPAddress subnetMask() const { return isConnected() ? IPAddress(255, 0, 0, 0) : IPAddress(); }
  IPAddress dnsIP(uint8_t = 0) const { return localIP(); }
  String SSID() const { return isConnected() ? ssid_ : String(); }
  int8_t RSSI() const { return isConnected() ? -50 : 0; }
  String macAddress() const { return "02:F1:07:A0:00:01"; }

 private:
  wl_status_t status_ = WL_DISCONNECTED;
  wifi_mode_t mode_ = WIFI_STA;
  String ssid_, hostname_ = "flota-virtual";
};

extern WiFiClass WiFi;
