#include <Preferences.h>

Preferences preferences;

void setup() {
  Serial.begin(115200);
  preferences.begin("my-app", false);
  unsigned int counter = preferences.getUInt("counter", 0);
  counter++;
  Serial.printf("Current counter value: %u\n", counter);
  preferences.putUInt("counter", counter);
  preferences.putString("name", "greenhouse " + String(counter));
  preferences.putFloat("ratio", 0.25f * counter);
  Serial.println(preferences.getString("name", "?") + " " + String(preferences.getFloat("ratio")));
  Serial.println(preferences.isKey("nothing") ? "a key" : "no key");
  preferences.end();
  if (counter < 3) {
    Serial.println("Restarting");
    ESP.restart();
  }
  preferences.begin("my-app", false);
  preferences.clear();
  Serial.printf("after clear: %u\n", preferences.getUInt("counter", 99));
}

void loop() {}
