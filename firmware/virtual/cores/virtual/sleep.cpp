// Deep sleep, and the memory that outlives it: the section rtc_data of the program.
#include <stddef.h>

#include "Arduino.h"
#include "board.h"
#include "kernel.h"

extern "C" {
extern char __start_rtc_data[] __attribute__((weak, visibility("hidden")));
extern char __stop_rtc_data[] __attribute__((weak, visibility("hidden")));
}

namespace {

struct Wake {
  uint64_t us;
  int pin, level;
  bool timer, ext1;
};

Wake next = {0, -1, 0, false, false};
// What the sleep was to be ended by that this start follows.
RTC_DATA_ATTR Wake last = {0, -1, 0, false, false};

// Before any constructor, for one of a variable in this memory may look at it.
__attribute__((constructor(101))) void load() {
  board_rtc_load(__start_rtc_data, size_t(__stop_rtc_data - __start_rtc_data));
}

}  // namespace

extern "C" {

esp_err_t esp_sleep_enable_timer_wakeup(uint64_t us) {
  next.us = us ? us : 1;
  next.timer = true;
  return ESP_OK;
}

esp_err_t esp_sleep_enable_ext0_wakeup(gpio_num_t pin, int level) {
  if (pin < 0 || pin >= BOARD_PINS) return ESP_ERR_INVALID_ARG;
  next.pin = pin;
  next.level = level != 0;
  next.ext1 = false;
  return ESP_OK;
}

esp_err_t esp_sleep_enable_ext1_wakeup(uint64_t pins, esp_sleep_ext1_wakeup_mode_t mode) {
  if (!pins) return ESP_ERR_INVALID_ARG;
  esp_sleep_enable_ext0_wakeup(gpio_num_t(__builtin_ctzll(pins)), mode == ESP_EXT1_WAKEUP_ANY_HIGH);
  next.ext1 = true;
  return ESP_OK;
}

esp_err_t esp_sleep_disable_wakeup_source(esp_sleep_source_t source) {
  if (source == ESP_SLEEP_WAKEUP_TIMER || source == ESP_SLEEP_WAKEUP_ALL) next.timer = false;
  if (source != ESP_SLEEP_WAKEUP_TIMER) next.pin = -1;
  return ESP_OK;
}

esp_sleep_wakeup_cause_t esp_sleep_get_wakeup_cause() {
  if (board_reset() != BoardReset::sleep) return ESP_SLEEP_WAKEUP_UNDEFINED;
  bool pin = last.pin >= 0 && (!last.timer || digitalRead(last.pin) == last.level);
  if (pin) return last.ext1 ? ESP_SLEEP_WAKEUP_EXT1 : ESP_SLEEP_WAKEUP_EXT0;
  return last.timer ? ESP_SLEEP_WAKEUP_TIMER : ESP_SLEEP_WAKEUP_UNDEFINED;
}

uint64_t esp_sleep_get_ext1_wakeup_status() {
  return esp_sleep_get_wakeup_cause() == ESP_SLEEP_WAKEUP_EXT1 ? 1ull << last.pin : 0;
}

void esp_deep_sleep_start() {
  last = next;
  board_rtc_save(__start_rtc_data, size_t(__stop_rtc_data - __start_rtc_data));
  board_deep_sleep(next.timer ? next.us : 0, next.pin, next.level);
}

void esp_deep_sleep(uint64_t us) {
  esp_sleep_enable_timer_wakeup(us);
  esp_deep_sleep_start();
}

esp_err_t esp_light_sleep_start() {
  if (!next.timer && next.pin < 0) return ESP_ERR_INVALID_STATE;
  uint64_t end = board_uptime_us() + next.us;
  while (!next.timer || board_uptime_us() < end) {
    if (next.pin >= 0 && digitalRead(next.pin) == next.level) break;
    uint64_t left = next.timer ? end - board_uptime_us() : 10000;
    delayMicroseconds(next.pin < 0 ? left : left < 10000 ? left : 10000);
  }
  return ESP_OK;
}
}
