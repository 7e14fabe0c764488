// Reads a sensor ten times a second and prints raw and smoothed values, one
// line each, as the serial plotter likes it.

#include "average.h"

const int sensorPin = A0;

Average<8> smooth;

void setup() {
  Serial.begin(115200);
}

void loop() {
  int raw = analogRead(sensorPin);
  smooth.add(raw);

  Serial.print("raw:");
  Serial.print(raw);
  Serial.print(" smooth:");
  Serial.println(smooth.value());
  delay(100);
}
