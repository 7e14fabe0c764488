#pragma once
#include <Arduino.h>
#include <function.h>

#include "WiFiClient.h"
#include "WiFiServer.h"
#include "WiFiType.h"
#include "WiFiUdp.h"

#define WIFI_SCAN_RUNNING (-1)
#define WIFI_SCAN_FAILED (-2)

typedef size_t wifi_event_id_t;
typedef std::function<void(WiFiEvent_t, WiFiEventInfo_t)> WiFiEventFuncCb;

// WiFiClass: the network of a virtual board accepts every name, without delay. "nowhere" is not there,
// and "locked" takes only the password "password". Without a name it is the network that the board knows.
class WiFiClass {
 public:
  wl_status_t begin(const char *ssid, const char *password = nullptr, int32_t channel = 0,
                    const uint8_t *bssid = nullptr, bool connect = true);
  wl_status_t begin(const String &ssid, const String &password = String()) {
    return begin(ssid.c_str(), password.c_str());
  }
  wl_status_t begin() { return begin(""); }
  wl_status_t status();
  bool isConnected() { return status() == WL_CONNECTED; }
  uint8_t waitForConnectResult(unsigned long timeout_ms = 60000);
  bool reconnect() { return begin("", password_.c_str()) == WL_CONNECTED; }
  bool disconnect(bool off = false, bool erase = false, unsigned long timeout_ms = 0);
  bool disconnectAsync(bool off = false, bool erase = false) { return disconnect(off, erase); }
  bool config(IPAddress ip, IPAddress gateway, IPAddress subnet, IPAddress dns1 = IPAddress(),
              IPAddress dns2 = IPAddress());

  bool mode(wifi_mode_t m);
  wifi_mode_t getMode() const { return mode_; }
  bool enableSTA(bool on) { return mode(wifi_mode_t(on ? mode_ | WIFI_STA : mode_ & ~WIFI_STA)); }
  bool enableAP(bool on) { return mode(wifi_mode_t(on ? mode_ | WIFI_AP : mode_ & ~WIFI_AP)); }
  bool setHostname(const char *name) { return hostname_ = name, true; }
  bool setHostname(const String &name) { return setHostname(name.c_str()); }
  const char *getHostname() const { return hostname_.c_str(); }
  bool hostname(const String &name) { return setHostname(name); }
  bool setSleep(bool) { return true; }
  bool setSleep(wifi_ps_type_t) { return true; }
  bool getSleep() { return false; }
  bool setTxPower(wifi_power_t) { return true; }
  wifi_power_t getTxPower() { return WIFI_POWER_19_5dBm; }
  bool setAutoReconnect(bool on) { return auto_ = on, true; }
  bool getAutoReconnect() { return auto_; }
  bool setAutoConnect(bool) { return true; }
  void persistent(bool) {}
  void setMinSecurity(wifi_auth_mode_t) {}
  void setScanMethod(int) {}
  void setSortMethod(int) {}

  IPAddress localIP();
  IPAddress gatewayIP();
  IPAddress subnetMask();
  IPAddress dnsIP(uint8_t = 0) { return gatewayIP(); }
  IPAddress broadcastIP() { return IPAddress(); }
  String SSID() const;
  String psk() const { return password_; }
  uint8_t *BSSID();
  String BSSIDstr();
  int32_t channel() { return 6; }
  int8_t RSSI();
  uint8_t *macAddress(uint8_t *mac);
  String macAddress();
  // In a sandbox names have made-up addresses, which connect() understands.
  int hostByName(const char *host, IPAddress &address);

  // What is around: "virtual", "locked", and where the board is.
  int16_t scanNetworks(bool async = false, bool hidden = false, bool passive = false, uint32_t ms = 300,
                       uint8_t channel = 0);
  int16_t scanComplete() { return found_; }
  void scanDelete() { found_ = WIFI_SCAN_FAILED; }
  String SSID(uint8_t i);
  int32_t RSSI(uint8_t i);
  wifi_auth_mode_t encryptionType(uint8_t i);
  int32_t channel(uint8_t i) { return 1 + 5 * (i % 3); }
  String BSSIDstr(uint8_t i);

  // An access point that nobody joins; its servers are reached as all others.
  bool softAP(const char *ssid, const char *password = nullptr, int channel = 1, int hidden = 0, int most = 4);
  bool softAP(const String &ssid, const String &password = String()) { return softAP(ssid.c_str(), password.c_str()); }
  bool softAPConfig(IPAddress, IPAddress, IPAddress) { return true; }
  bool softAPdisconnect(bool off = false);
  uint8_t softAPgetStationNum() { return 0; }
  IPAddress softAPIP() { return ap_.isEmpty() ? IPAddress() : IPAddress(192, 168, 4, 1); }
  String softAPSSID() const { return ap_; }
  String softAPmacAddress();

  // Handlers run in the thread of all timers.
  wifi_event_id_t onEvent(void (*handler)(WiFiEvent_t), WiFiEvent_t only = ARDUINO_EVENT_MAX);
  wifi_event_id_t onEvent(WiFiEventFuncCb handler, WiFiEvent_t only = ARDUINO_EVENT_MAX);
  void removeEvent(wifi_event_id_t id);

 private:
  wifi_mode_t mode_ = WIFI_OFF;
  String hostname_ = "esp32-virtual", password_, ap_;
  bool auto_ = true;
  int16_t found_ = WIFI_SCAN_FAILED;
  IPAddress ip_, gateway_, subnet_;
};

extern WiFiClass WiFi;
