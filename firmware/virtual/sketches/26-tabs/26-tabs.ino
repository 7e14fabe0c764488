// Classes over several files and tabs.
#include "thermostat.h"

Thermostat thermostat(21.0, 0.5);

void setup() {
  Serial.begin(115200);
  Serial.println(thermostat);
  for (float t : {18.0f, 20.8f, 21.6f, 21.0f, 20.4f}) report(t, thermostat.update(t));
}

void loop() {
  delay(100);
}
