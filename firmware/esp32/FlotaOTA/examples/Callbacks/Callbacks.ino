// A sketch with a say: it shows how far an update is, refuses some, tests itself after one, and
// restarts only when that does no harm. All of this is called in the agent's task, beside
// loop(), and returns soon.
#include <FlotaOTA.h>

#include <atomic>

// Without this the Arduino core makes a new image good before setup(), and it is never gone back from.
extern "C" bool verifyRollbackLater() { return true; }

const int kPump = 5;

std::atomic<bool> watering{false};

void show(const FlotaUpdate &update) {
  static const char *const states[] = {"downloading", "verified", "applied", "confirmed", "failed", "rolled back"};
  Serial.printf("%s: %s, %u %% of %lu bytes %s\n", update.version, states[int(update.state)], unsigned(update.percent),
                (unsigned long)update.size, update.reason);
}

// A release that is refused is so for good: it is reported as "vetoed".
bool wanted(const FlotaUpdate &update) { return strstr(update.version, "beta") == nullptr; }

// Asked again every second, for as long as it takes.
bool safe() { return !watering; }

// Asked once, in a new image, before its first check-in: false goes back to the old one at once.
bool works() { return analogRead(A0) > 0; }

void setup() {
  Serial.begin(115200);
  pinMode(kPump, OUTPUT);
  FlotaOTA.onUpdate(show);
  FlotaOTA.onOffer(wanted);
  FlotaOTA.onReady(safe);
  FlotaOTA.onSelfTest(works);
  FlotaOTA.begin();
}

void loop() {
  watering = true;
  digitalWrite(kPump, HIGH);
  delay(10000);
  digitalWrite(kPump, LOW);
  watering = false;
  delay(50000);
}
