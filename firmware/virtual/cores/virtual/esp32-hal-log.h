// Logging to the serial port, up to the level CORE_DEBUG_LEVEL (the board's option "Core debug level").
#pragma once
#include "esp_log.h"

#define ARDUHAL_LOG_LEVEL_NONE 0
#define ARDUHAL_LOG_LEVEL_ERROR 1
#define ARDUHAL_LOG_LEVEL_WARN 2
#define ARDUHAL_LOG_LEVEL_INFO 3
#define ARDUHAL_LOG_LEVEL_DEBUG 4
#define ARDUHAL_LOG_LEVEL_VERBOSE 5
#define ARDUHAL_LOG_LEVEL CORE_DEBUG_LEVEL

#define log_e(format, ...) ESP_LOG_AT(1, 'E', __func__, format, ##__VA_ARGS__)
#define log_w(format, ...) ESP_LOG_AT(2, 'W', __func__, format, ##__VA_ARGS__)
#define log_i(format, ...) ESP_LOG_AT(3, 'I', __func__, format, ##__VA_ARGS__)
#define log_d(format, ...) ESP_LOG_AT(4, 'D', __func__, format, ##__VA_ARGS__)
#define log_v(format, ...) ESP_LOG_AT(5, 'V', __func__, format, ##__VA_ARGS__)
#define log_n(format, ...) ESP_LOG_AT(1, 'E', __func__, format, ##__VA_ARGS__)
