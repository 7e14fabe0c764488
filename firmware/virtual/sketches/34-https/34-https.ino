// TLS: with a pinned certificate, with a wrong one, and without looking.
#include <HTTPClient.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>

String fetch(const char *url) {
  HTTPClient http;
  http.begin(url);
  return http.GET() == 200 ? http.getString() : String();
}

void get(WiFiClientSecure &client, const char *url) {
  HTTPClient https;
  if (!https.begin(client, url)) {
    Serial.println("no such address");
    return;
  }
  int code = https.GET();
  char why[80] = "";
  if (code < 0) client.lastError(why, sizeof why);
  Serial.printf("%d %s%s\n", code, code == 200 ? https.getString().c_str() : "", why);
  https.end();
}

void setup() {
  Serial.begin(115200);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) delay(100);

  String ca = fetch("http://ca.example/ca.pem"), stranger = fetch("http://ca.example/stranger.pem");

  WiFiClientSecure client;
  Serial.print("nothing said: ");
  get(client, "https://example.com/secret");
  client.setCACert(ca.c_str());
  Serial.print("pinned: ");
  get(client, "https://example.com/secret");
  Serial.print("other name: ");
  get(client, "https://impostor.example/secret");
  client.setCACert(stranger.c_str());
  Serial.print("wrong pin: ");
  get(client, "https://example.com/secret");
  client.setInsecure();
  Serial.print("insecure: ");
  get(client, "https://impostor.example/secret");

  client.setCACert("no certificate");
  Serial.print("nonsense: ");
  get(client, "https://example.com/secret");

  HTTPClient http;
  http.begin("https://example.com/big");
  Serial.printf("without a client: %d", http.GET());
  Serial.printf(", %u bytes\n", http.getString().length());
  http.end();
  Serial.println(ESP.getFreeHeap() > 200000 ? "memory is back" : "memory is lost");
}

void loop() {}
