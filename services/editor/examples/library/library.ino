// Counts how often the board has started. The number is kept by the library
// Preferences in memory that an update does not touch.

#include <Preferences.h>

Preferences memory;

void setup() {
  Serial.begin(115200);

  memory.begin("library", false);
  unsigned int starts = memory.getUInt("starts", 0) + 1;
  memory.putUInt("starts", starts);
  memory.end();

  Serial.print("start number ");
  Serial.println(starts);
}

void loop() {
  delay(1000);
}
