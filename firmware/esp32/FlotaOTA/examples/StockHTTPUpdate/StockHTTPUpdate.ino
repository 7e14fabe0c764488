// Updates without FlotaOTA: arduino-esp32's own HTTPUpdate and the server's static link
//
//   <server>/firmware/<product_id>.ino.bin
//
// asked when the button (GPIO0 to ground) is pressed, and every hour. It is for projects that opted out
// of the agent. What they do without:
//   - no signature: who has the server, or over plain HTTP the network, decides what runs here
//   - no rollback: an image that starts and then fails stays, until somebody comes with a cable
//   - a download that is cut short begins from 0, and loop() stands still meanwhile
//   - over http:// the key goes over the network as it is; the server's operator must have consented
//     (FLOTA_PLAIN_HTTP_DEVICES)
//
// Server, product ID, key and Wi-Fi are what flota-provision wrote into NVS while the base sketch, or any
// sketch with FlotaOTA, ran: this one does not listen on the cable.
#include <HTTPUpdate.h>
#include <Preferences.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>

const char kVersion[] = "1.0.0";
const uint8_t kButton = 0;
const uint32_t kEvery = 60UL * 60 * 1000;  // ms

Preferences given;

// field finds a text in the list of networks, [{"ssid":"…","password":"…"}], in the form in which FlotaOTA
// stores it: without spaces; quote and backslash come after a backslash.
String field(const String &networks, const char *name) {
  String before = String("\"") + name + "\":\"", text;
  int at = networks.indexOf(before);
  if (at < 0) return text;
  for (unsigned i = unsigned(at) + before.length(); i < networks.length() && networks[i] != '"'; i++) {
    if (networks[i] == '\\') i++;
    text += networks[i];
  }
  return text;
}

void update() {
  String server = given.getString("server"), product = given.getString("product_id"), ca = given.getString("ca");
  String link = server + "/firmware/" + product + ".ino.bin";
  httpUpdate.setAuthorization(product, given.getString("key"));
  t_httpUpdate_return result;
  if (server.startsWith("https://")) {
    if (ca.length() == 0) {
      Serial.println("not checked: TLS needs the certificate to pin, \"ca\", in what the board is given");
      return;
    }
    WiFiClientSecure client;
    client.setCACert(ca.c_str());
    result = httpUpdate.update(client, link);
  } else {
    WiFiClient client;
    result = httpUpdate.update(client, link);
  }
  // Where there was something new, the board has restarted.
  if (result == HTTP_UPDATE_NO_UPDATES) {
    Serial.println("nothing new");
  } else {
    Serial.printf("no update: %s\n", httpUpdate.getLastErrorString().c_str());
  }
}

void setup() {
  Serial.begin(115200);
  pinMode(kButton, INPUT_PULLUP);
  if (!given.begin("flota", true) || given.getString("key").length() == 0) {
    Serial.println("was given nothing yet: flash the base sketch and call flota-provision");
    while (true) delay(1000);
  }
  String networks = given.getString("wifi");
  WiFi.begin(field(networks, "ssid").c_str(), field(networks, "password").c_str());
  while (WiFi.status() != WL_CONNECTED) delay(100);
  Serial.printf("version %s is connected\n", kVersion);
}

void loop() {
  static uint32_t last = 0;
  bool pressed = digitalRead(kButton) == LOW;
  if (!pressed && millis() - last < kEvery) {
    delay(10);
    return;
  }
  last = millis();
  update();
  while (digitalRead(kButton) == LOW) delay(10);
}
