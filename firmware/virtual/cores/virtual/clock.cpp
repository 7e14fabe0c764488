// Time: since the start, and of the day.
#include <sys/time.h>

#include "Arduino.h"
#include "board.h"
#include "esp_sntp.h"
#include "kernel.h"

extern "C" {

unsigned long micros() { return uint32_t(board_uptime_us()); }
unsigned long millis() { return uint32_t(board_uptime_us() / 1000); }
void delay(uint32_t ms) { vTaskDelay(ms); }
void yield() { vTaskYield(); }

void delayMicroseconds(uint32_t us) {
  timespec t = {time_t(us / 1000000), long(us % 1000000) * 1000};
  while (nanosleep(&t, &t) != 0) {
  }
}

// The C library's, over the board's own clock: sketches and TLS see the same time.
time_t time(time_t *to) {
  time_t now = board_clock_us() / 1000000;
  if (to) *to = now;
  return now;
}

int gettimeofday(struct timeval *now, void *) noexcept {
  int64_t us = board_clock_us();
  now->tv_sec = us / 1000000;
  now->tv_usec = us % 1000000;
  return 0;
}

int settimeofday(const struct timeval *now, const struct timezone *) noexcept {
  if (now) board_set_clock_us(int64_t(now->tv_sec) * 1000000 + now->tv_usec);
  return 0;
}
}

static sntp_sync_time_cb_t synchronised;
static bool complete;

static void ask(void *);
static Alarm asking = {ask, nullptr, 0, 0, nullptr, false};

static void ask(void *) {
  if (board_wifi_status() != BoardWifi::connected) return;
  timer_alarms.stop(&asking);
  timespec machine;
  clock_gettime(CLOCK_REALTIME, &machine);
  timeval now = {machine.tv_sec, machine.tv_nsec / 1000};
  settimeofday(&now, nullptr);
  complete = true;
  if (synchronised) synchronised(&now);
}

void configTzTime(const char *tz, const char *, const char *, const char *) {
  setenv("TZ", tz, 1);
  tzset();
  timer_alarms.start(&asking, 50000, 200000);
}

void configTime(long gmtOffset_s, int daylightOffset_s, const char *server1, const char *server2, const char *server3) {
  // POSIX counts hours west of Greenwich.
  char tz[48];
  long east = gmtOffset_s + daylightOffset_s, size = east < 0 ? -east : east;
  snprintf(tz, sizeof tz, "%s%s%ld:%02ld:%02ld", daylightOffset_s ? "DST" : "UTC", east > 0 ? "-" : "", size / 3600,
           size / 60 % 60, size % 60);
  configTzTime(tz, server1, server2, server3);
}

bool getLocalTime(struct tm *info, uint32_t timeout_ms) {
  for (unsigned long began = millis();; delay(10)) {
    time_t now = time(nullptr);
    localtime_r(&now, info);
    if (info->tm_year > 2016 - 1900) return true;
    if (millis() - began >= timeout_ms) return false;
  }
}

extern "C" {
void sntp_set_time_sync_notification_cb(sntp_sync_time_cb_t callback) { synchronised = callback; }
sntp_sync_status_t sntp_get_sync_status() { return complete ? SNTP_SYNC_STATUS_COMPLETED : SNTP_SYNC_STATUS_RESET; }
}
