// The seed's way, with nothing of ours in it: arduino-esp32's own HTTPUpdate fetches the static
// link at the press of a button. It verifies no signature and goes back from nothing, so it is
// for projects that opted out of the agent. A download that is cut short begins from 0, and loop()
// stands still meanwhile; nobody is told what became of it. The server answers to it over TLS, or over plain HTTP where
// its operator consented, since HTTPUpdate can only send its password as it is.
//
// Server, name, key and Wi-Fi are where flota-provision and the base sketch put them: in NVS,
// namespace "flota". Write them before this sketch, by way of the base sketch.
#include <HTTPUpdate.h>
#include <Preferences.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>

const char kVersion[] = "1.0.0";
const int kButton = 0;  // to ground

String server, product, key, ca, ssid, password;

// member takes a string out of the first object of a JSON array; it knows no escapes but \" and \\.
String member(const String &json, const char *name) {
  int at = json.indexOf(String("\"") + name + "\":\"");
  String value;
  if (at < 0) return value;
  for (at += int(strlen(name)) + 4; at < int(json.length()) && json[at] != '"'; at++) {
    if (json[at] == '\\') at++;
    value += json[at];
  }
  return value;
}

void setup() {
  Serial.begin(115200);
  pinMode(kButton, INPUT_PULLUP);
  Preferences flota;
  if (flota.begin("flota", true)) {
    server = flota.getString("server", "");
    product = flota.getString("product_id", "");
    key = flota.getString("key", "");
    ca = flota.getString("ca", "");
    String networks = flota.getString("wifi", "");
    ssid = member(networks, "ssid");
    password = member(networks, "password");
    flota.end();
  }
  if (server.isEmpty() || ssid.isEmpty()) {
    Serial.println("Nothing in NVS: flash the base sketch, and provision it.");
    return;
  }
  WiFi.begin(ssid.c_str(), password.c_str());
  while (WiFi.status() != WL_CONNECTED) delay(100);
  Serial.printf("Version %s is connected.\n", kVersion);
}

void update() {
  HTTPClient http;
  WiFiClientSecure secure;
  WiFiClient plain;
  bool tls = server.startsWith("https:");
  if (tls) secure.setCACert(ca.c_str());
  String link = server + "/firmware/" + product + ".ino.bin";
  if (!(tls ? http.begin(secure, link) : http.begin(plain, link))) return;
  http.setAuthorization(product.c_str(), key.c_str());
  switch (httpUpdate.update(http)) {  // restarts where it succeeds
    case HTTP_UPDATE_NO_UPDATES:
      Serial.println("It runs what it should.");
      break;
    case HTTP_UPDATE_FAILED:
      Serial.printf("Update: %s\n", httpUpdate.getLastErrorString().c_str());
      break;
    default:
      break;
  }
}

void loop() {
  if (digitalRead(kButton) == LOW && WiFi.status() == WL_CONNECTED) {
    update();
    while (digitalRead(kButton) == LOW) delay(50);  // once for each time it is pressed
  }
  delay(50);
}
