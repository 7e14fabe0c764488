#pragma once
#include "WiFi.h"

static inline esp_err_t esp_wifi_set_ps(wifi_ps_type_t type) { return (void)type, ESP_OK; }
static inline esp_err_t esp_wifi_start(void) { return ESP_OK; }
static inline esp_err_t esp_wifi_stop(void) { return WiFi.mode(WIFI_OFF) ? ESP_OK : ESP_FAIL; }
