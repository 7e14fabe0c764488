#include <WiFi.h>
#include "esp_sntp.h"
#include "time.h"

const char *ntpServer = "pool.ntp.org";
const long gmtOffset_sec = 3600;
const int daylightOffset_sec = 0;

void onTime(struct timeval *t) {
  Serial.printf("time synchronised: %ld\n", (long)t->tv_sec);
}

void setup() {
  Serial.begin(115200);
  WiFi.begin("shed", "secret");
  while (WiFi.status() != WL_CONNECTED) delay(100);
  sntp_set_time_sync_notification_cb(onTime);
  configTime(gmtOffset_sec, daylightOffset_sec, ntpServer);
  struct tm timeinfo;
  while (sntp_get_sync_status() != SNTP_SYNC_STATUS_COMPLETED) delay(10);
  if (!getLocalTime(&timeinfo)) {
    Serial.println("Failed to obtain time");
    return;
  }
  Serial.println(&timeinfo, "%A, %B %d %Y %H:%M:%S");
  time_t now = time(nullptr);
  struct tm utc;
  gmtime_r(&now, &utc);
  Serial.printf("offset %d h\n", (timeinfo.tm_hour - utc.tm_hour + 24) % 24);
  configTzTime("CET-1CEST,M3.5.0,M10.5.0/3", ntpServer);
  time_t summer = 1751371200;  // 2025-07-01 12:00 UTC
  localtime_r(&summer, &timeinfo);
  Serial.println(&timeinfo, "%H:%M %Z");
}

void loop() {}
