// Networks that are there, that are not, and that want a password.
#include <WiFi.h>

void onEvent(WiFiEvent_t event, WiFiEventInfo_t info) {
  switch (event) {
    case ARDUINO_EVENT_WIFI_STA_GOT_IP:
      Serial.printf("event: address %s\n", WiFi.localIP().toString().c_str());
      break;
    case ARDUINO_EVENT_WIFI_STA_DISCONNECTED:
      Serial.printf("event: disconnected, reason %d\n", info.wifi_sta_disconnected.reason);
      break;
    default:
      break;
  }
}

void tryOne(const char *ssid, const char *password) {
  WiFi.begin(ssid, password);
  unsigned long start = millis();
  while (WiFi.status() != WL_CONNECTED && millis() - start < 300) delay(20);
  Serial.printf("%s: %d\n", ssid, WiFi.status());
  delay(200);
}

void setup() {
  Serial.begin(115200);
  WiFi.onEvent(onEvent);
  WiFi.setHostname("greenhouse");
  tryOne("nowhere", "x");
  tryOne("locked", "guess");
  tryOne("locked", "password");
  Serial.printf("%s %s %d dBm %s\n", WiFi.SSID().c_str(), WiFi.macAddress().c_str(), WiFi.RSSI(), WiFi.getHostname());
  WiFi.disconnect();
}

void loop() {}
