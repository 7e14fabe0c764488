#include <ESPmDNS.h>
#include <WebServer.h>
#include <WiFi.h>

WebServer server(80);
const int led = 13;

void handleRoot() {
  server.send(200, "text/plain", "hello from esp32!");
}

void handleNotFound() {
  String message = "File Not Found\n\nURI: " + server.uri() + "\nMethod: ";
  message += server.method() == HTTP_GET ? "GET" : "POST";
  message += "\nArguments: " + String(server.args()) + "\n";
  for (uint8_t i = 0; i < server.args(); i++) message += " " + server.argName(i) + ": " + server.arg(i) + "\n";
  server.send(404, "text/plain", message);
}

void setup() {
  pinMode(led, OUTPUT);
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) delay(500);
  if (MDNS.begin("esp32")) Serial.println("MDNS responder started");
  server.on("/", handleRoot);
  server.on("/inline", []() { server.send(200, "text/plain", "this works as well"); });
  server.on("/led", []() {
    digitalWrite(led, server.arg("on") == "1");
    server.send(204);
  });
  server.onNotFound(handleNotFound);
  server.begin();
  Serial.println("HTTP server started");
}

void loop() {
  server.handleClient();
  delay(2);
}
