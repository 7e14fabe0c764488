#include <Preferences.h>

Preferences preferences;

void setup() {
  Serial.begin(115200);
  preferences.begin("heap");
  int round = preferences.getInt("round", 0);
  preferences.putInt("round", round + 1);
  size_t heap = ESP.getFreeHeap();
  Serial.printf("round %d, like an ESP32: %s\n", round, heap > 200000 && heap <= 327680 ? "yes" : "no");
  if (round == 0) {
    int blocks = 0;
    while (malloc(1024)) blocks++;
    Serial.printf("malloc failed after %s blocks, %s left\n", blocks > 150 && blocks < 320 ? "some" : "too few or many",
                  ESP.getFreeHeap() < 2048 ? "little" : "much");
    ESP.restart();
  }
  if (round == 1) {
    for (int i = 0;; i++) {
      volatile char *block = new char[1024];
      block[i % 1024] = i;
    }
  }
  String s = "strings keep what they had";
  char *most = (char *)malloc(ESP.getFreeHeap() - 1000);
  s.reserve(50000);
  Serial.println(s);
  free(most);
  Serial.println(ESP.getFreeHeap() > 200000 ? "given back" : "lost");
}

void loop() {}
