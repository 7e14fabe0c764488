#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"
#include "esp_mac.h"
#include "esp_random.h"

typedef enum {
  ESP_RST_UNKNOWN,
  ESP_RST_POWERON,
  ESP_RST_EXT,
  ESP_RST_SW,
  ESP_RST_PANIC,
  ESP_RST_INT_WDT,
  ESP_RST_TASK_WDT,
  ESP_RST_WDT,
  ESP_RST_DEEPSLEEP,
  ESP_RST_BROWNOUT,
  ESP_RST_SDIO,
} esp_reset_reason_t;

typedef enum { CHIP_ESP32 = 1 } esp_chip_model_t;
typedef struct {
  esp_chip_model_t model;
  uint32_t features;
  uint16_t revision;
  uint8_t cores;
} esp_chip_info_t;

#define CHIP_FEATURE_EMB_FLASH (1 << 0)
#define CHIP_FEATURE_WIFI_BGN (1 << 1)
#define CHIP_FEATURE_BLE (1 << 4)
#define CHIP_FEATURE_BT (1 << 5)

#ifdef __cplusplus
extern "C" {
#endif
void esp_restart(void) __attribute__((noreturn));
esp_reset_reason_t esp_reset_reason(void);
void esp_chip_info(esp_chip_info_t *info);
uint32_t esp_get_free_heap_size(void);
uint32_t esp_get_minimum_free_heap_size(void);
const char *esp_get_idf_version(void);
#ifdef __cplusplus
}
#endif
