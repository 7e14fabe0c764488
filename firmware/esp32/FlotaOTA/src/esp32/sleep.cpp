// A new image has one start: to sleep would end its trial. Where the program is linked with
//
//   -Wl,--wrap=esp_deep_sleep_start,--wrap=esp_deep_sleep
//
// deep sleep waits until the image is confirmed, or given up. Elsewhere a sketch asks
// FlotaOTA.pending() itself, as examples/DeepSleep does.
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <Arduino.h>
#include <esp_sleep.h>

#include "../FlotaOTA.h"

extern "C" {

__attribute__((weak)) void __real_esp_deep_sleep_start();
__attribute__((weak)) void __real_esp_deep_sleep(uint64_t us);
__attribute__((noreturn)) void __wrap_esp_deep_sleep_start();
__attribute__((noreturn)) void __wrap_esp_deep_sleep(uint64_t us);

static void await_trial() {
  while (FlotaOTA.pending()) delay(100);
}

void __wrap_esp_deep_sleep_start() {
  await_trial();
  __real_esp_deep_sleep_start();
  for (;;) {
  }
}

void __wrap_esp_deep_sleep(uint64_t us) {
  await_trial();
  __real_esp_deep_sleep(us);
  for (;;) {
  }
}
}

#endif
