// A sketch that has a say in its updates: it shows progress, refuses what it does not want,
// puts off the restart while it is at work, and tests a new image before that counts as good.
#include <FlotaOTA.h>

extern "C" bool verifyRollbackLater() { return true; }

// Callbacks run in the agent's task: what they share with loop() is volatile (or atomic).
volatile bool working = false;

void onUpdate(const FlotaUpdate &update) {
  switch (update.state) {
    case FlotaState::downloading:
      Serial.printf("version %s: %u %% of %u bytes\n", update.version, unsigned(update.percent), unsigned(update.size));
      break;
    case FlotaState::verified:
      Serial.println("verified: size, digest and form are those that were signed");
      break;
    case FlotaState::applied:
      Serial.println("restarting into it");
      break;
    case FlotaState::confirmed:
      Serial.printf("version %s is good: it has checked in\n", update.version);
      break;
    case FlotaState::failed:
    case FlotaState::rolled_back:
      Serial.printf("version %s did not become ours: %s\n", update.version, update.reason);
      break;
  }
}

// False refuses a release for good; the server hears "vetoed".
bool onOffer(const FlotaUpdate &update) { return strstr(update.version, "beta") == nullptr; }

// Asked every second once an image is ready, for as long as it takes.
bool onReady() { return !working; }

// Asked before the first check-in of a new image; false goes back to the old one at once.
// A real one asks the sensor whether it answers.
bool onSelfTest() { return ESP.getFreeHeap() > 20000; }

void setup() {
  Serial.begin(115200);
  FlotaOTA.onUpdate(onUpdate);
  FlotaOTA.onOffer(onOffer);
  FlotaOTA.onReady(onReady);
  FlotaOTA.onSelfTest(onSelfTest);
  FlotaOTA.begin();
}

void loop() {
  working = true;  // a motor turns, a measurement runs: no restart now
  delay(2000);
  working = false;
  delay(3000);
}
