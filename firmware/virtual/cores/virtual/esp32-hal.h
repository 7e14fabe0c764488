// What arduino-esp32 has below its Arduino API, and every sketch sees.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp32-hal-gpio.h"
#include "esp32-hal-ledc.h"
#include "esp32-hal-log.h"
#include "esp32-hal-timer.h"
#include "esp_arduino_version.h"
#include "esp_attr.h"
#include "esp_err.h"
#include "esp_heap_caps.h"
#include "esp_idf_version.h"
#include "esp_random.h"
#include "esp_sleep.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/event_groups.h"
#include "freertos/queue.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#define ARDUINO_RUNNING_CORE 1
#define ARDUINO_EVENT_RUNNING_CORE 1

#ifdef __cplusplus
extern "C" {
#endif

// Time since the start, wrapping at 32 bits as on the chip.
unsigned long millis(void);
unsigned long micros(void);
void delay(uint32_t ms);
void delayMicroseconds(uint32_t us);
void yield(void);

// verifyRollbackLater: unless it returns true, an image on trial is made valid before
// setup(), when verifyOta agrees. Both are weak: a sketch or a library may define its own.
bool verifyRollbackLater(void);
bool verifyOta(void);

float temperatureRead(void);  // °C
bool setCpuFrequencyMhz(uint32_t mhz);
uint32_t getCpuFrequencyMhz(void);
uint32_t getXtalFrequencyMhz(void);
uint32_t getApbFrequency(void);

static inline bool psramFound(void) { return false; }
static inline void *ps_malloc(size_t size) { return (void)size, (void *)0; }
static inline void *ps_calloc(size_t n, size_t size) { return (void)n, (void)size, (void *)0; }
static inline bool btStart(void) { return false; }
static inline bool btStop(void) { return true; }
static inline void disableCore0WDT(void) {}
static inline void disableCore1WDT(void) {}
static inline void enableCore0WDT(void) {}
static inline void enableCore1WDT(void) {}
static inline void disableLoopWDT(void) {}
static inline void enableLoopWDT(void) {}
static inline void feedLoopWDT(void) {}

// Interrupts, here handlers that run in threads of their own, wait while they are off.
void noInterrupts(void);
void interrupts(void);
#define cli() noInterrupts()
#define sei() interrupts()

#ifdef __cplusplus
}
#endif
