// ESP-IDF's names for pins.
#pragma once
#include <stdint.h>

#include "esp_err.h"

typedef enum {
  GPIO_NUM_NC = -1,
  GPIO_NUM_0,
  GPIO_NUM_1,
  GPIO_NUM_2,
  GPIO_NUM_3,
  GPIO_NUM_4,
  GPIO_NUM_5,
  GPIO_NUM_6,
  GPIO_NUM_7,
  GPIO_NUM_8,
  GPIO_NUM_9,
  GPIO_NUM_10,
  GPIO_NUM_11,
  GPIO_NUM_12,
  GPIO_NUM_13,
  GPIO_NUM_14,
  GPIO_NUM_15,
  GPIO_NUM_16,
  GPIO_NUM_17,
  GPIO_NUM_18,
  GPIO_NUM_19,
  GPIO_NUM_20,
  GPIO_NUM_21,
  GPIO_NUM_22,
  GPIO_NUM_23,
  GPIO_NUM_25 = 25,
  GPIO_NUM_26,
  GPIO_NUM_27,
  GPIO_NUM_28,
  GPIO_NUM_29,
  GPIO_NUM_30,
  GPIO_NUM_31,
  GPIO_NUM_32,
  GPIO_NUM_33,
  GPIO_NUM_34,
  GPIO_NUM_35,
  GPIO_NUM_36,
  GPIO_NUM_37,
  GPIO_NUM_38,
  GPIO_NUM_39,
  GPIO_NUM_MAX
} gpio_num_t;

typedef enum {
  GPIO_MODE_DISABLE = 0,
  GPIO_MODE_INPUT = 1,
  GPIO_MODE_OUTPUT = 2,
  GPIO_MODE_INPUT_OUTPUT = 3,
} gpio_mode_t;

#ifdef __cplusplus
extern "C" {
#endif
esp_err_t gpio_set_direction(gpio_num_t pin, gpio_mode_t mode);
esp_err_t gpio_set_level(gpio_num_t pin, uint32_t level);
int gpio_get_level(gpio_num_t pin);
esp_err_t gpio_pullup_en(gpio_num_t pin);
esp_err_t gpio_pulldown_en(gpio_num_t pin);
static inline esp_err_t gpio_reset_pin(gpio_num_t pin) { return gpio_set_direction(pin, GPIO_MODE_INPUT); }
static inline esp_err_t gpio_hold_en(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline esp_err_t gpio_hold_dis(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline void gpio_deep_sleep_hold_en(void) {}
static inline void gpio_deep_sleep_hold_dis(void) {}
static inline esp_err_t rtc_gpio_pullup_en(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline esp_err_t rtc_gpio_pullup_dis(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline esp_err_t rtc_gpio_pulldown_en(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline esp_err_t rtc_gpio_pulldown_dis(gpio_num_t pin) { return (void)pin, ESP_OK; }
static inline esp_err_t rtc_gpio_deinit(gpio_num_t pin) { return (void)pin, ESP_OK; }
#ifdef __cplusplus
}
#endif
