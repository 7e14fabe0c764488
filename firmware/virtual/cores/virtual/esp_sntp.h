// See configTime in Arduino.h for whom the time is asked.
#pragma once
#include <stdbool.h>
#include <sys/time.h>

typedef void (*sntp_sync_time_cb_t)(struct timeval *now);
typedef enum { SNTP_SYNC_STATUS_RESET, SNTP_SYNC_STATUS_COMPLETED, SNTP_SYNC_STATUS_IN_PROGRESS } sntp_sync_status_t;

#ifdef __cplusplus
extern "C" {
#endif
void sntp_set_time_sync_notification_cb(sntp_sync_time_cb_t callback);
sntp_sync_status_t sntp_get_sync_status(void);
#ifdef __cplusplus
}
#endif
#define esp_sntp_set_time_sync_notification_cb sntp_set_time_sync_notification_cb
