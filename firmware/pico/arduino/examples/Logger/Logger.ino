// A sketch with a life of its own, beside which the agent lives: it measures on the second core, keeps a log in
// LittleFS, and never returns from loop(). Nothing in it waits for updates. It only says when a restart does harm.
// Build it with a file system, as flash=2097152_1048576 on a Pico W.
#include <FlotaOTA.h>
#include <LittleFS.h>

#include <atomic>

const char kLog[] = "/log.csv";
const size_t kMost = 16384;  // bytes; the file system is the agent's, too

std::atomic<int> measured{0};
std::atomic<bool> writing{false};

bool safe() { return !writing; }

void setup() {
  Serial.begin(115200);
  LittleFS.begin();
  FlotaOTA.onReady(safe);
  FlotaOTA.begin();  // on the farm it has begun already
}

void loop() {
  while (true) {
    writing = true;
    File log = LittleFS.open(kLog, "a");
    if (log) {
      log.printf("%lu,%d\n", millis(), measured.load());
      bool full = log.size() > kMost;
      log.close();
      if (full) LittleFS.rename(kLog, "/log.old.csv");
    }
    writing = false;
    Serial.printf("version %s: %d\n", FlotaOTA.version(), measured.load());
    delay(5000);
  }
}

void setup1() { analogReadResolution(12); }

void loop1() {
  measured = analogRead(A0);
  delay(10);
}
