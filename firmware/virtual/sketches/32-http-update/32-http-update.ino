// The stock way of updating, without FlotaOTA: fetches this same program and starts it from the other slot.
#include <HTTPUpdate.h>
#include <WiFi.h>
#include "esp_ota_ops.h"

void setup() {
  Serial.begin(115200);
  Serial.printf("running from %s\n", esp_ota_get_running_partition()->label);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) delay(100);
  WiFiClient client;
  httpUpdate.onProgress([](int at, int of) {
    if (at == of) Serial.println("all written");
  });
  t_httpUpdate_return result = httpUpdate.update(client, "http://updates.example/firmware.bin");
  switch (result) {
    case HTTP_UPDATE_FAILED:
      Serial.printf("failed: %s\n", httpUpdate.getLastErrorString().c_str());
      break;
    case HTTP_UPDATE_NO_UPDATES:
      Serial.println("no update");
      if (httpUpdate.update(client, "http://updates.example/page.html") == HTTP_UPDATE_FAILED)
        Serial.printf("failed: %s\n", httpUpdate.getLastErrorString().c_str());
      break;
    case HTTP_UPDATE_OK:
      Serial.println("not reached");
  }
}

void loop() {
  delay(100);
}
