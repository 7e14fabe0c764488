#pragma once
#include "esp_system.h"

typedef enum {
  NO_MEAN = 0,
  POWERON_RESET = 1,
  SW_RESET = 3,
  DEEPSLEEP_RESET = 5,
  TG0WDT_SYS_RESET = 7,
  SW_CPU_RESET = 12,
  EXT_CPU_RESET = 14,
  RTCWDT_BROWN_OUT_RESET = 15,
  RTCWDT_RTC_RESET = 16,
} RESET_REASON;

static inline RESET_REASON rtc_get_reset_reason(int core) {
  (void)core;
  switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
    case ESP_RST_EXT:
      return POWERON_RESET;
    case ESP_RST_DEEPSLEEP:
      return DEEPSLEEP_RESET;
    case ESP_RST_BROWNOUT:
      return RTCWDT_BROWN_OUT_RESET;
    case ESP_RST_TASK_WDT:
      return TG0WDT_SYS_RESET;
    default:
      return SW_CPU_RESET;
  }
}
