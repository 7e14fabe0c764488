#pragma once
#include <stdint.h>

#include "driver/gpio.h"
#include "esp_attr.h"
#include "esp_err.h"

typedef enum {
  ESP_SLEEP_WAKEUP_UNDEFINED,
  ESP_SLEEP_WAKEUP_ALL,
  ESP_SLEEP_WAKEUP_EXT0,
  ESP_SLEEP_WAKEUP_EXT1,
  ESP_SLEEP_WAKEUP_TIMER,
  ESP_SLEEP_WAKEUP_TOUCHPAD,
  ESP_SLEEP_WAKEUP_ULP,
  ESP_SLEEP_WAKEUP_GPIO,
} esp_sleep_source_t;
typedef esp_sleep_source_t esp_sleep_wakeup_cause_t;

typedef enum {
  ESP_EXT1_WAKEUP_ALL_LOW = 0,
  ESP_EXT1_WAKEUP_ANY_LOW = 0,
  ESP_EXT1_WAKEUP_ANY_HIGH = 1
} esp_sleep_ext1_wakeup_mode_t;
typedef enum {
  ESP_PD_DOMAIN_RTC_PERIPH,
  ESP_PD_DOMAIN_RTC_SLOW_MEM,
  ESP_PD_DOMAIN_RTC_FAST_MEM,
  ESP_PD_DOMAIN_XTAL
} esp_sleep_pd_domain_t;
typedef enum { ESP_PD_OPTION_OFF, ESP_PD_OPTION_ON, ESP_PD_OPTION_AUTO } esp_sleep_pd_option_t;

#ifdef __cplusplus
extern "C" {
#endif
esp_err_t esp_sleep_enable_timer_wakeup(uint64_t us);
// One pin, of ext1's the lowest, can wake the board.
esp_err_t esp_sleep_enable_ext0_wakeup(gpio_num_t pin, int level);
esp_err_t esp_sleep_enable_ext1_wakeup(uint64_t pins, esp_sleep_ext1_wakeup_mode_t mode);
esp_err_t esp_sleep_disable_wakeup_source(esp_sleep_source_t source);
esp_sleep_wakeup_cause_t esp_sleep_get_wakeup_cause(void);
uint64_t esp_sleep_get_ext1_wakeup_status(void);
// Ends the process; what is marked RTC_DATA_ATTR is there again when the board wakes up.
void esp_deep_sleep_start(void) __attribute__((noreturn));
void esp_deep_sleep(uint64_t us) __attribute__((noreturn));
// Waits here, all other tasks go on.
esp_err_t esp_light_sleep_start(void);
static inline esp_err_t esp_sleep_pd_config(esp_sleep_pd_domain_t d, esp_sleep_pd_option_t o) {
  return (void)d, (void)o, ESP_OK;
}
#ifdef __cplusplus
}
#endif
