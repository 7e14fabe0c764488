// Shows how the board is connected. The name and password of the network are
// not written here: the board keeps them since its first flash, so that one
// firmware fits all boards and nobody reads a password in a sketch.

#include <WiFi.h>

void setup() {
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin();

  Serial.print("Connecting");
  while (WiFi.status() != WL_CONNECTED) {
    Serial.print(".");
    delay(500);
  }
  Serial.println();
}

void loop() {
  Serial.print("address ");
  Serial.print(WiFi.localIP());
  Serial.print(", signal ");
  Serial.print(WiFi.RSSI());
  Serial.println(" dBm");
  delay(5000);
}
