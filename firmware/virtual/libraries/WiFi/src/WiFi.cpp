#include "WiFi.h"

#include <board.h>
#include <kernel.h>

#include "names.h"

WiFiClass WiFi;

// --- Events

namespace {

const int kHandlers = 8;
struct Handler {
  WiFiEventFuncCb call;
  WiFiEvent_t only;
};
Handler handlers[kHandlers];

// What has happened and was not told yet; written under the lock.
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct Event {
  WiFiEvent_t id;
  WiFiEventInfo_t info;
};
Event waiting[16];
int waits = 0;
BoardWifi told = BoardWifi::none;

void post(WiFiEvent_t id, unsigned reason = 0) {
  pthread_mutex_lock(&lock);
  if (waits < 16) {
    waiting[waits] = {id, {}};
    waiting[waits].info.wifi_sta_disconnected.reason = reason;
    waiting[waits++].info.got_ip.ip_info.ip.addr = WiFi.localIP();
  }
  pthread_mutex_unlock(&lock);
}

void look(void *) {
  BoardWifi now = board_wifi_status();
  if (now != told) {
    bool was = told == BoardWifi::connected;
    told = now;
    if (now == BoardWifi::connected) {
      post(ARDUINO_EVENT_WIFI_STA_CONNECTED);
      post(ARDUINO_EVENT_WIFI_STA_GOT_IP);
    } else {
      post(ARDUINO_EVENT_WIFI_STA_DISCONNECTED, now == BoardWifi::no_ssid          ? WIFI_REASON_NO_AP_FOUND
                                                : now == BoardWifi::wrong_password ? WIFI_REASON_AUTH_FAIL
                                                : now == BoardWifi::lost           ? WIFI_REASON_BEACON_TIMEOUT
                                                                                   : WIFI_REASON_ASSOC_LEAVE);
      if (was) post(ARDUINO_EVENT_WIFI_STA_LOST_IP);
    }
  }
  for (;;) {
    pthread_mutex_lock(&lock);
    if (waits == 0) break;
    Event event = waiting[0];
    memmove(waiting, waiting + 1, --waits * sizeof *waiting);
    pthread_mutex_unlock(&lock);
    for (Handler &h : handlers)
      if (h.call && (h.only == ARDUINO_EVENT_MAX || h.only == event.id)) h.call(event.id, event.info);
  }
  pthread_mutex_unlock(&lock);
}

Alarm looking = {look, nullptr, 0, 0, nullptr, false};

String mac_text(const uint8_t *m) {
  char text[18];
  snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", m[0], m[1], m[2], m[3], m[4], m[5]);
  return text;
}

const uint8_t access_point[6] = {0x02, 0xF1, 0x07, 0xAA, 0x00, 0x01};

}  // namespace

wifi_event_id_t WiFiClass::onEvent(WiFiEventFuncCb handler, WiFiEvent_t only) {
  for (int i = 0; i < kHandlers; i++) {
    if (handlers[i].call) continue;
    handlers[i] = {handler, only};
    if (!timer_alarms.active(&looking)) timer_alarms.start(&looking, 10000, 50000);
    return i + 1;
  }
  return 0;
}
wifi_event_id_t WiFiClass::onEvent(void (*handler)(WiFiEvent_t), WiFiEvent_t only) {
  return onEvent([handler](WiFiEvent_t event, WiFiEventInfo_t) { handler(event); }, only);
}
void WiFiClass::removeEvent(wifi_event_id_t id) {
  if (id >= 1 && id <= kHandlers) handlers[id - 1].call = nullptr;
}

// --- Station

wl_status_t WiFiClass::begin(const char *ssid, const char *password, int32_t, const uint8_t *, bool connect) {
  mode(wifi_mode_t(mode_ | WIFI_STA));
  password_ = password ? password : "";
  if (connect) board_wifi_connect(ssid ? ssid : "", password_.c_str());
  return status();
}

wl_status_t WiFiClass::status() {
  switch (board_wifi_status()) {
    case BoardWifi::connected:
      return WL_CONNECTED;
    case BoardWifi::no_ssid:
      return WL_NO_SSID_AVAIL;
    case BoardWifi::wrong_password:
      return WL_CONNECT_FAILED;
    case BoardWifi::lost:
      return WL_CONNECTION_LOST;
    case BoardWifi::none:
      break;
  }
  return WL_DISCONNECTED;
}

uint8_t WiFiClass::waitForConnectResult(unsigned long timeout_ms) {
  for (unsigned long began = millis(); status() == WL_DISCONNECTED && millis() - began < timeout_ms;) delay(20);
  return status();
}

bool WiFiClass::disconnect(bool off, bool, unsigned long) {
  board_wifi_disconnect();
  if (off) mode(wifi_mode_t(mode_ & ~WIFI_STA));
  return true;
}

bool WiFiClass::mode(wifi_mode_t m) {
  if (m == mode_) return true;
  if ((m & WIFI_STA) && !(mode_ & WIFI_STA)) post(ARDUINO_EVENT_WIFI_STA_START);
  if (!(m & WIFI_STA) && (mode_ & WIFI_STA)) {
    board_wifi_disconnect();
    post(ARDUINO_EVENT_WIFI_STA_STOP);
  }
  mode_ = m;
  return true;
}

bool WiFiClass::config(IPAddress ip, IPAddress gateway, IPAddress subnet, IPAddress, IPAddress) {
  ip_ = ip, gateway_ = gateway, subnet_ = subnet;
  return true;
}

IPAddress WiFiClass::localIP() {
  if (!isConnected()) return IPAddress();
  if (ip_ != IPAddress()) return ip_;
  if (!network_sandboxed()) return IPAddress(127, 0, 0, 1);
  uint8_t mac[6];
  board_mac(mac);
  return IPAddress(10, 0, mac[4], mac[5] ? mac[5] : 2);
}
IPAddress WiFiClass::gatewayIP() {
  if (!isConnected()) return IPAddress();
  return gateway_ != IPAddress() ? gateway_ : network_sandboxed() ? IPAddress(10, 0, 0, 1) : IPAddress(127, 0, 0, 1);
}
IPAddress WiFiClass::subnetMask() {
  if (!isConnected()) return IPAddress();
  return subnet_ != IPAddress() ? subnet_ : network_sandboxed() ? IPAddress(255, 255, 0, 0) : IPAddress(255, 0, 0, 0);
}
String WiFiClass::SSID() const {
  char ssid[33];
  board_wifi_ssid(ssid);
  return ssid;
}
int8_t WiFiClass::RSSI() { return board_wifi_rssi(); }
uint8_t *WiFiClass::BSSID() { return const_cast<uint8_t *>(access_point); }
String WiFiClass::BSSIDstr() { return isConnected() ? mac_text(access_point) : String(); }
uint8_t *WiFiClass::macAddress(uint8_t *mac) {
  board_mac(mac);
  return mac;
}
String WiFiClass::macAddress() {
  uint8_t mac[6];
  return mac_text(macAddress(mac));
}
int WiFiClass::hostByName(const char *host, IPAddress &address) {
  return isConnected() && network_resolve(host, address) ? 1 : 0;
}

// --- Scan

int16_t WiFiClass::scanNetworks(bool async, bool, bool, uint32_t, uint8_t) {
  mode(wifi_mode_t(mode_ | WIFI_STA));
  String own = SSID();
  found_ = own.isEmpty() || own == "virtual" || own == "locked" ? 2 : 3;
  if (!async) delay(300);
  post(ARDUINO_EVENT_WIFI_SCAN_DONE);
  return async ? WIFI_SCAN_RUNNING : found_;
}
String WiFiClass::SSID(uint8_t i) {
  return i >= found_ ? String() : i == 0 ? String("virtual") : i == 1 ? String("locked") : SSID();
}
int32_t WiFiClass::RSSI(uint8_t i) { return i >= found_ ? 0 : -50 - 10 * i; }
wifi_auth_mode_t WiFiClass::encryptionType(uint8_t i) { return i == 1 ? WIFI_AUTH_WPA2_PSK : WIFI_AUTH_OPEN; }
String WiFiClass::BSSIDstr(uint8_t i) {
  uint8_t mac[6];
  memcpy(mac, access_point, 6);
  mac[5] += i;
  return mac_text(mac);
}

// --- Access point

bool WiFiClass::softAP(const char *ssid, const char *password, int, int, int) {
  if (!ssid || !*ssid || (password && *password && strlen(password) < 8)) return false;
  mode(wifi_mode_t(mode_ | WIFI_AP));
  ap_ = ssid;
  post(ARDUINO_EVENT_WIFI_AP_START);
  return true;
}
bool WiFiClass::softAPdisconnect(bool off) {
  ap_ = "";
  if (off) mode(wifi_mode_t(mode_ & ~WIFI_AP));
  return true;
}
String WiFiClass::softAPmacAddress() {
  uint8_t mac[6];
  macAddress(mac);
  mac[5]++;
  return mac_text(mac);
}
