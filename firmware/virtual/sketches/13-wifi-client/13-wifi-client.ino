#include <WiFi.h>

const char *host = "sensors.example";
WiFiClient client;

void setup() {
  Serial.begin(115200);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) {
    delay(100);
    Serial.print(".");
  }
  Serial.println("WiFi connected");
  if (!client.connect(host, 80)) {
    Serial.println("connection failed");
    return;
  }
  client.print(String("GET /status HTTP/1.1\r\nHost: ") + host + "\r\nConnection: close\r\n\r\n");
  unsigned long timeout = millis();
  while (client.available() == 0 && millis() - timeout < 5000) delay(5);
  String status = client.readStringUntil('\r');
  Serial.println(status);
  if (client.find("\r\n\r\n")) Serial.println(client.readString());
  client.stop();
  Serial.println(client.connected() ? "still connected" : "closed");

  WiFiClient refused;
  Serial.println(refused.connect("forbidden.example", 80) ? "let through" : "refused");
}

void loop() {}
