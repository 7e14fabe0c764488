// The least that a sketch outside the farm needs: the farm adds the agent by itself.
// Flash it by cable, then give the board its server, key and Wi-Fi over the same cable:
//
//   flota-provision --port /dev/ttyUSB0 --file bot_001.json
//
// While it was given nothing, the agent reads the serial port; leave Serial.read() alone until then.
#include <FlotaOTA.h>

// Without this the Arduino core makes every new image good before setup(), and none is ever gone back from.
extern "C" bool verifyRollbackLater() { return true; }

void setup() {
  Serial.begin(115200);
  FlotaOTA.begin();  // a task of its own: loop() may take as long as it likes
}

void loop() {
  Serial.printf("%s runs version %s\n", FlotaOTA.provisioned() ? FlotaOTA.productId() : "an unprovisioned board",
                FlotaOTA.version());
  delay(5000);
}
