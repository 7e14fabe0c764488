// The least: a sketch that can be updated over the air. On the farm none of this is needed, since every
// managed sketch gets it. After the first flash, give the board its server, key and Wi-Fi by cable:
//
//   flota-provision --port /dev/ttyUSB0 --file bot_001.json
#include <FlotaOTA.h>

// Without this the Arduino core makes a new image good before setup(), and it is never gone back from.
extern "C" bool verifyRollbackLater() { return true; }

void setup() {
  Serial.begin(115200);
  FlotaOTA.begin();  // a task of its own: loop() may take as long as it likes
}

void loop() {
  Serial.printf("%s, version %s\n", FlotaOTA.provisioned() ? FlotaOTA.productId() : "not provisioned",
                FlotaOTA.version());
  delay(5000);
}
