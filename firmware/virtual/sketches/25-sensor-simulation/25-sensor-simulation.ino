// A made-up sensor, formatted as for a display, with a sequence that can be repeated.
#include <Wire.h>

char line[64];

float celsius(float last) {
  return constrain(last + random(-50, 51) / 100.0, -10.0, 40.0);
}

void setup() {
  Serial.begin(115200);
  Wire.begin();
  Wire.beginTransmission(0x76);
  Serial.println(Wire.endTransmission() == 0 ? "BME280 found" : "no sensor, simulating");
  randomSeed(1234);
  long first = random(1000000);
  randomSeed(1234);
  Serial.println(first == random(1000000) ? "repeatable" : "not repeatable");
  float t = 20;
  bool inside = true;
  for (int i = 0; i < 100; i++) {
    t = celsius(t);
    inside = inside && t >= -10 && t <= 40;
    long die = random(1, 7);
    inside = inside && die >= 1 && die <= 6;
  }
  snprintf(line, sizeof line, "%05.1fC|%3d%%|%04x|%-6s|", 21.25, 7, 0xbeef, "ok");
  Serial.println(line);
  Serial.println(inside ? "in bounds" : "out of bounds");
  Serial.printf("%lu %lu\n", (unsigned long)(esp_random() != esp_random()), (unsigned long)bitRead(0b1010, 1));
}

void loop() {
  delay(1000);
}
