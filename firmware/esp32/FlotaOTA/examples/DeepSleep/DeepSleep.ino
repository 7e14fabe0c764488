// A board that sleeps and looks for an update when it wakes up.
//
// Two rules. Do not sleep while an image is on trial (FlotaOTA.pending()): the bootloader gives it one
// start, so that sleeping ends its trial. And sleep only when checkNow() says so: it returns true
// after a check-in with nothing left to do. A download that is cut short goes on at the next wake-up.
#include <FlotaOTA.h>
#include <esp_sleep.h>

extern "C" bool verifyRollbackLater() { return true; }

const uint32_t kCheckSeconds = 60;
const uint64_t kSleepSeconds = 15 * 60;

RTC_DATA_ATTR unsigned wakeups = 0;  // outlives deep sleep

void setup() {
  Serial.begin(115200);
  Serial.printf("wake-up %u\n", ++wakeups);
  FlotaOTA.begin();
  // What the board is for comes here: measure, send.
}

void loop() {
  if (!FlotaOTA.provisioned()) {  // awake, for the cable
    delay(1000);
    return;
  }
  bool done = FlotaOTA.checkNow(kCheckSeconds * 1000);
  if (FlotaOTA.pending()) {  // at most 300 s: then it is good, or the old image is back
    Serial.println("on trial: awake");
    delay(1000);
    return;
  }
  Serial.println(done ? "nothing to do" : "no check-in in time: tries again after the sleep");
  Serial.flush();
  esp_sleep_enable_timer_wakeup(kSleepSeconds * 1000000);
  esp_deep_sleep_start();
}
