#include <EEPROM.h>

struct Settings {
  uint32_t magic;
  float target;
  char name[16];
};

void setup() {
  Serial.begin(115200);
  if (!EEPROM.begin(512)) {
    Serial.println("no EEPROM");
    return;
  }
  Settings settings;
  EEPROM.get(0, settings);
  if (settings.magic != 0xC0FFEE) {
    Serial.println("empty, writing defaults");
    settings = {0xC0FFEE, 21.5, "living room"};
    EEPROM.put(0, settings);
    EEPROM.write(100, 42);
    EEPROM.writeString(200, "kept");
    Serial.println(EEPROM.commit() ? "committed" : "not committed");
    ESP.restart();
  }
  Serial.printf("%s: %.1f, %d, %s, %d\n", settings.name, settings.target, EEPROM.read(100), EEPROM.readString(200).c_str(),
                EEPROM.read(511));
}

void loop() {}
