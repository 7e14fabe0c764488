// A board that sleeps most of the time: it wakes up, measures, looks for an update, and sleeps
// again. While an image is on trial it must not sleep, since a new image has one start: it is
// good after a check-in, or the old one is back after 300 s.
#include <FlotaOTA.h>
#include <esp_sleep.h>

// Without this the Arduino core makes a new image good before setup(), and it is never gone back from.
extern "C" bool verifyRollbackLater() { return true; }

const uint64_t kSleep = 15 * 60 * 1000000ULL;  // microseconds
const uint32_t kAwake = 60000;                 // milliseconds that a check may take

RTC_DATA_ATTR int wakeups;

void setup() {
  Serial.begin(115200);
  Serial.printf("wake-up %d: %d\n", wakeups++, int(analogRead(A0)));
  FlotaOTA.begin();
  while (!FlotaOTA.provisioned()) delay(100);  // awake, for the cable

  bool checked;
  do {
    checked = FlotaOTA.checkNow(kAwake);
  } while (FlotaOTA.pending());
  Serial.println(checked ? "checked" : "no check-in, or a download that goes on at the next wake-up");
  Serial.flush();
  esp_deep_sleep(kSleep);
}

void loop() {}
