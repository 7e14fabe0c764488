#pragma once
#include <stdint.h>

typedef int esp_err_t;

#define ESP_OK 0
#define ESP_FAIL -1
#define ESP_ERR_NO_MEM 0x101
#define ESP_ERR_INVALID_ARG 0x102
#define ESP_ERR_INVALID_STATE 0x103
#define ESP_ERR_INVALID_SIZE 0x104
#define ESP_ERR_NOT_FOUND 0x105
#define ESP_ERR_NOT_SUPPORTED 0x106
#define ESP_ERR_TIMEOUT 0x107
#define ESP_ERR_NVS_NO_FREE_PAGES 0x110d
#define ESP_ERR_NVS_NEW_VERSION_FOUND 0x1110
#define ESP_ERR_OTA_VALIDATE_FAILED 0x1503

#ifdef __cplusplus
extern "C" {
#endif
const char *esp_err_to_name(esp_err_t code);
// Panics.
void esp_error_check_failed(esp_err_t code, const char *file, int line, const char *expression)
    __attribute__((noreturn));
#ifdef __cplusplus
}
#endif

#define ESP_ERROR_CHECK(x)                                                                     \
  do {                                                                                         \
    esp_err_t esp_error_ = (x);                                                                \
    if (esp_error_ != ESP_OK) esp_error_check_failed(esp_error_, __FILE_NAME__, __LINE__, #x); \
  } while (0)
#define ESP_ERROR_CHECK_WITHOUT_ABORT(x) \
  ({                                     \
    esp_err_t esp_error_ = (x);          \
    esp_error_;                          \
  })
