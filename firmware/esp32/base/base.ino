// What a new board gets by cable, an ESP32 or a Pico W. It does nothing of its own: it waits to be told
// where it belongs, joins a network, and lets FlotaOTA fetch what is to run. README.md of
// firmware/esp32 and of firmware/pico/arduino tell how it looks from outside.
#include <FlotaOTA.h>
#include <WiFi.h>
#include <flota/agent.h>

#include "improv.h"

// A Pico has no recovery portal: its radio cannot be an access point and look for a network at once.
#if defined(ESP32) || defined(FLOTA_VIRTUAL)
#define FLOTA_PORTAL 1
#include <mbedtls/crypto.h>

#include "portal.h"
#endif

#if defined(ARDUINO_ARCH_RP2040)
const int kOpen = ENC_TYPE_NONE;
#else
const int kOpen = WIFI_AUTH_OPEN;
#endif

// The status LED is the board's own, which on a plain ESP32 is mostly at GPIO2.
#if defined(LED_BUILTIN)
const int kLed = LED_BUILTIN;
#elif defined(CONFIG_IDF_TARGET_ESP32)
const int kLed = 2;
#else
const int kLed = -1;
#endif

extern "C" void flota_led(bool on) {
  if (kLed >= 0) digitalWrite(uint8_t(kLed), on ? HIGH : LOW);
}

const uint32_t kPatience = 120000;  // without a network, until the portal opens
const uint32_t kJoin = 40000;       // for a network that came by Improv: a try of its own, and one to spare

char name[sizeof "Flota-0000"];  // of the access point, and of the board where it has no other

// --- Wi-Fi ---------------------------------------------------------------------------

flota::Network &network() { return flota::machine().network; }
flota::Storage &storage() { return flota::machine().storage; }

bool connected() { return strcmp(network().state(), "connected") == 0; }

// remember puts a network before those that the board knows, and drops the last where
// there are too many. FlotaOTA then tries them in their order.
bool remember(const char *ssid, const char *password) {
  flota::Wifi known[flota::kMaxNetworks], next[flota::kMaxNetworks];
  size_t count = flota::get_wifi(storage(), known), n = 0;
  if (strlen(ssid) >= sizeof next->ssid || strlen(password) >= sizeof next->password) return false;
  strcpy(next[n].ssid, ssid);
  strcpy(next[n++].password, password);
  for (size_t i = 0; i < count && n < flota::kMaxNetworks; i++) {
    if (strcmp(known[i].ssid, ssid) != 0) next[n++] = known[i];
  }
  bool done = flota::put_wifi(storage(), next, n);
  flota::wipe(known, sizeof known);
  flota::wipe(next, sizeof next);
  if (done) network().reload();
  return done;
}

// --- Recovery portal -------------------------------------------------------------------

#if FLOTA_PORTAL

// portal_password is made of the device key, so that who may see that (the server, and who has
// the cable) knows it and nobody else: 12 of [a-z2-7], the beginning of HMAC-SHA256(K,
// "flota1-portal\n") in base32. False for a board that has no key yet: it has the cable.
bool portal_password(char password[13]) {
  flota::MbedtlsCrypto crypto;
  flota::Credential credential;
  char key[flota::kKeyLength + 1];
  bool has = flota::get_text(storage(), flota::key::key, key, sizeof key) > 0 && flota::valid_key(key);
  if (has) {
    uint8_t mac[32];
    flota::derive(crypto, key, &credential);
    const char purpose[] = "flota1-portal\n";
    crypto.hmac_sha256(credential.k, purpose, sizeof purpose - 1, mac);
    for (int i = 0; i < 12; i++) {
      unsigned at = unsigned(i) * 5, bits = unsigned(mac[at / 8] << 8 | mac[at / 8 + 1]) >> (11 - at % 8) & 31;
      password[i] = "abcdefghijklmnopqrstuvwxyz234567"[bits];
    }
    password[12] = 0;
  }
  flota::wipe(key, sizeof key);
  flota::wipe(&credential, sizeof credential);
  return has;
}

const char *entered(const String &ssid, const String &password) {
  if (remember(ssid.c_str(), password.c_str())) return "";
  return "A network has a name of up to 32 bytes and a password of 8 to 63 characters, or none.";
}

Portal portal(entered);

// rescue opens the portal when there was no network for a while, and closes it when there is.
void rescue() {
  static uint32_t last = 0;
  char password[13];
  if (connected()) {
    last = millis();
    if (portal.is_open()) Serial.println("Recovery portal: closed.");
    portal.close();
  } else if (!portal.is_open() && millis() - last > kPatience && portal_password(password)) {
    last = millis();
    if (portal.open(name, password)) {
      Serial.printf("Recovery portal: Wi-Fi %s, password %s, page http://192.168.4.1/\n", name, password);
    }
  }
  portal.step();
}
#endif

// --- Cable -----------------------------------------------------------------------------

// name_of a network that was found.
const char *name_of(int i) {
  static String name;
  name = WiFi.SSID(uint8_t(i));
  return name.c_str();
}

class Cable : public improv::Device {
 public:
  Cable() : dialogue_(flota::machine(), flota::agent(), room_), improv_(*this) { flota::agent().leave_cable(); }

  void step() {
    uint8_t data[64];
    for (int n; (n = flota::machine().cable.read(data, sizeof data)) > 0;) {
      for (int i = 0; i < n; i++) {
        size_t others = improv_.receive(data[i]);
        if (others > 0) dialogue_.receive(improv_.passed(), others);
      }
    }
    if (joining_ && (joined() || millis() - since_ > kJoin)) finish();
  }

  void send(const uint8_t *data, size_t size) override {
    flota::machine().cable.write(reinterpret_cast<const char *>(data), size);
  }

  void join(const improv::Network &network) override {
    before_ = flota::get_wifi(storage(), known_);
    strcpy(ssid_, network.ssid);
    joining_ = true;
    since_ = millis();
    if (!remember(network.ssid, network.password)) since_ -= kJoin + 1;
  }

  bool connected() override { return ::connected(); }

  void info(const char *texts[4]) override {
    texts[0] = "Flota";
    texts[1] = flota::kAgent + sizeof "FlotaOTA/" - 1;
    texts[2] = flota::machine().board.chip();
    texts[3] = FlotaOTA.provisioned() ? FlotaOTA.productId() : name;
  }

  void scan() override {
    int found = WiFi.scanNetworks();
    for (int i = 0; i < found; i++) {
      improv_.found(name_of(i), int(WiFi.RSSI(uint8_t(i))), WiFi.encryptionType(uint8_t(i)) != kOpen);
    }
    WiFi.scanDelete();
  }

 private:
  bool joined() { return ::connected() && WiFi.SSID() == ssid_; }

  // A network that cannot be joined is forgotten again.
  void finish() {
    joining_ = false;
    bool done = joined();
    if (!done && flota::put_wifi(storage(), known_, before_)) network().reload();
    flota::wipe(known_, sizeof known_);
    improv_.joined(done, "");
  }

  char room_[flota::kMaxLine];
  flota::Dialogue dialogue_;
  improv::Improv improv_;
  bool joining_ = false;
  uint32_t since_ = 0;
  char ssid_[33];
  flota::Wifi known_[flota::kMaxNetworks];  // before
  size_t before_ = 0;
};

Cable cable;

// --- What it is and does -----------------------------------------------------------------

void updated(const FlotaUpdate &update) {
  static const char *const words[] = {"downloading", "verified", "applied", "confirmed", "failed", "rolled back"};
  if (update.state == FlotaState::downloading && update.percent % 10 != 0) return;
  Serial.printf("Update to %s: %s", update.version, words[int(update.state)]);
  if (update.state == FlotaState::downloading) Serial.printf(", %u %%", unsigned(update.percent));
  if (update.reason[0] != 0) Serial.printf(" (%s)", update.reason);
  Serial.println();
}

void introduce() {
  flota::Machine &m = flota::machine();
  Serial.printf("\nFlota base, %s, %s, %s, slots of %u bytes, rollback: %s\n", flota::kAgent, m.board.chip(), name,
                unsigned(m.slots.size()), m.slots.rollback());
  if (!FlotaOTA.provisioned())
    Serial.println("Belongs nowhere yet: waits on this port for flota-provision or the page.");
}

// narrate prints what has changed.
void narrate() {
  static char before[96];
  char address[48], now[sizeof before];
  flota::ServerStatus status = flota::agent().status();
  network().address(address, sizeof address);
  snprintf(now, sizeof now, "Network: %s%s%s. Server: %s.", network().state(), address[0] != 0 ? ", " : "", address,
           FlotaOTA.provisioned() ? status.server : "none");
  if (strcmp(now, before) == 0) return;
  strcpy(before, now);
  Serial.println(now);
}

void setup() {
  Serial.begin(115200);
  if (kLed >= 0) pinMode(uint8_t(kLed), OUTPUT);
  const char *mac = flota::machine().board.mac();
  size_t length = strlen(mac);
  snprintf(name, sizeof name, "Flota-%s", length > 4 ? mac + length - 4 : mac);
  FlotaOTA.onUpdate(updated);
  introduce();
}

void loop() {
  static uint32_t narrated = 0;
  cable.step();
#if FLOTA_PORTAL
  rescue();
#endif
  if (millis() - narrated >= 500) {
    narrated = millis();
    narrate();
  }
  delay(5);  // a receive buffer of 256 bytes is full after 22 ms
}
