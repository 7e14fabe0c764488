#pragma once
#include <stdint.h>

#ifndef CORE_DEBUG_LEVEL
#define CORE_DEBUG_LEVEL 0
#endif

typedef enum {
  ESP_LOG_NONE,
  ESP_LOG_ERROR,
  ESP_LOG_WARN,
  ESP_LOG_INFO,
  ESP_LOG_DEBUG,
  ESP_LOG_VERBOSE,
} esp_log_level_t;

#ifdef __cplusplus
extern "C" {
#endif
void esp_log_write_line(char letter, const char *tag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void esp_log_level_set(const char *tag, esp_log_level_t level);
uint32_t esp_log_timestamp(void);
#ifdef __cplusplus
}
#endif

#define ESP_LOG_AT(level, letter, tag, format, ...)                                                \
  do {                                                                                             \
    if (CORE_DEBUG_LEVEL >= (level)) esp_log_write_line((letter), (tag), (format), ##__VA_ARGS__); \
  } while (0)
#define ESP_LOGE(tag, format, ...) ESP_LOG_AT(1, 'E', tag, format, ##__VA_ARGS__)
#define ESP_LOGW(tag, format, ...) ESP_LOG_AT(2, 'W', tag, format, ##__VA_ARGS__)
#define ESP_LOGI(tag, format, ...) ESP_LOG_AT(3, 'I', tag, format, ##__VA_ARGS__)
#define ESP_LOGD(tag, format, ...) ESP_LOG_AT(4, 'D', tag, format, ##__VA_ARGS__)
#define ESP_LOGV(tag, format, ...) ESP_LOG_AT(5, 'V', tag, format, ##__VA_ARGS__)
