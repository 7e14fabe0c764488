#include <Arduino_JSON.h>
#include <HTTPClient.h>
#include <WiFi.h>

void setup() {
  Serial.begin(115200);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) delay(100);

  HTTPClient http;
  http.begin("http://api.example/weather?city=Bern");
  http.addHeader("Accept", "application/json");
  int code = http.GET();
  Serial.printf("status %d\n", code);
  if (code == HTTP_CODE_OK) {
    JSONVar weather = JSON.parse(http.getString());
    if (JSON.typeof(weather) == "undefined") {
      Serial.println("no JSON");
      return;
    }
    double temperature = weather["main"]["temp"];
    Serial.println(weather["name"]);
    Serial.printf("%.1f degrees, wind %d\n", temperature, (int)weather["wind"]);
  }
  http.end();

  http.begin("http://api.example/missing");
  Serial.printf("status %d\n", http.GET());
  http.end();
  http.begin("http://down.example/");
  code = http.GET();
  Serial.printf("%d: %s\n", code, HTTPClient::errorToString(code).c_str());
}

void loop() {}
