// The chip and what it knows of itself.
#include "Arduino.h"
#include "MD5Builder.h"
#include "board.h"
#include "esp_ota_ops.h"
#include "esp_task_wdt.h"
#include "kernel.h"

EspClass ESP;

void EspClass::restart() { esp_restart(); }
const char *EspClass::getChipModel() { return board_chip(); }
uint32_t EspClass::getHeapSize() { return heap_size(); }
uint32_t EspClass::getFreeHeap() { return heap_free(); }
uint32_t EspClass::getMinFreeHeap() { return heap_least(); }
uint32_t EspClass::getMaxAllocHeap() { return heap_free(); }
uint32_t EspClass::getCycleCount() { return uint32_t(board_uptime_us() * getCpuFreqMHz()); }
uint32_t EspClass::getCpuFreqMHz() { return getCpuFrequencyMhz(); }
void EspClass::deepSleep(uint64_t us) { esp_deep_sleep(us); }

uint64_t EspClass::getEfuseMac() {
  uint8_t mac[8] = {};
  board_mac(mac);
  uint64_t value;
  memcpy(&value, mac, sizeof value);
  return value;
}

uint32_t EspClass::getSketchSize() { return board_image_size(*board_running()); }
uint32_t EspClass::getFreeSketchSpace() { return board_other()->size; }

String EspClass::getSketchMD5() {
  MD5Builder md5;
  md5.begin();
  const BoardPartition *slot = board_running();
  uint8_t data[1024];
  for (uint32_t at = 0, size = getSketchSize(), n; at < size; at += n) {
    n = min<uint32_t>(size - at, sizeof data);
    if (!board_flash_read(slot->offset + at, data, n)) return String();
    md5.add(data, n);
  }
  md5.calculate();
  return md5.toString();
}

bool EspClass::flashRead(uint32_t offset, uint32_t *data, size_t size) { return board_flash_read(offset, data, size); }
bool EspClass::flashWrite(uint32_t offset, uint32_t *data, size_t size) {
  return board_flash_write(offset, data, size);
}
bool EspClass::flashEraseSector(uint32_t sector) { return board_flash_erase(sector * BOARD_SECTOR, BOARD_SECTOR); }

static uint32_t cpu_mhz = 240;

extern "C" {

void esp_restart() { board_restart(); }

esp_reset_reason_t esp_reset_reason() {
  switch (board_reset()) {
    case BoardReset::power:
      return ESP_RST_POWERON;
    case BoardReset::software:
      return ESP_RST_SW;
    case BoardReset::crash:
      return ESP_RST_PANIC;
    case BoardReset::watchdog:
      return ESP_RST_TASK_WDT;
    case BoardReset::brownout:
      return ESP_RST_BROWNOUT;
    case BoardReset::sleep:
      return ESP_RST_DEEPSLEEP;
    case BoardReset::external:
      return ESP_RST_EXT;
    case BoardReset::unknown:
      break;
  }
  return ESP_RST_UNKNOWN;
}

void esp_chip_info(esp_chip_info_t *info) {
  *info = {CHIP_ESP32, CHIP_FEATURE_EMB_FLASH | CHIP_FEATURE_WIFI_BGN, 300, 2};
}
const char *esp_get_idf_version() { return "virtual"; }

uint32_t esp_random() { return board_random(); }
void esp_fill_random(void *to, size_t size) {
  for (uint8_t *p = static_cast<uint8_t *>(to), *end = p + size; p < end; p++) *p = board_random();
}

esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type) {
  if (!mac) return ESP_ERR_INVALID_ARG;
  board_mac(mac);
  mac[5] += type;
  return ESP_OK;
}
esp_err_t esp_efuse_mac_get_default(uint8_t *mac) { return esp_read_mac(mac, ESP_MAC_WIFI_STA); }

float temperatureRead() { return 53.3f; }
bool setCpuFrequencyMhz(uint32_t mhz) {
  if (mhz != 240 && mhz != 160 && mhz != 80 && mhz != 40 && mhz != 20 && mhz != 10) return false;
  cpu_mhz = mhz;
  return true;
}
uint32_t getCpuFrequencyMhz() { return cpu_mhz; }
uint32_t getXtalFrequencyMhz() { return 40; }
uint32_t getApbFrequency() { return 80000000; }

// --- Errors and words for the log

const char *esp_err_to_name(esp_err_t code) {
  switch (code) {
    case ESP_OK:
      return "ESP_OK";
    case ESP_FAIL:
      return "ESP_FAIL";
    case ESP_ERR_NO_MEM:
      return "ESP_ERR_NO_MEM";
    case ESP_ERR_INVALID_ARG:
      return "ESP_ERR_INVALID_ARG";
    case ESP_ERR_INVALID_STATE:
      return "ESP_ERR_INVALID_STATE";
    case ESP_ERR_INVALID_SIZE:
      return "ESP_ERR_INVALID_SIZE";
    case ESP_ERR_NOT_FOUND:
      return "ESP_ERR_NOT_FOUND";
    case ESP_ERR_NOT_SUPPORTED:
      return "ESP_ERR_NOT_SUPPORTED";
    case ESP_ERR_TIMEOUT:
      return "ESP_ERR_TIMEOUT";
    case ESP_ERR_OTA_VALIDATE_FAILED:
      return "ESP_ERR_OTA_VALIDATE_FAILED";
  }
  return "UNKNOWN ERROR";
}

void esp_error_check_failed(esp_err_t code, const char *file, int line, const char *expression) {
  char reason[256];
  const char *name = strrchr(file, '/');
  snprintf(reason, sizeof reason, "ESP_ERROR_CHECK failed: esp_err_t 0x%x (%s) at %s:%d: %s", unsigned(code),
           esp_err_to_name(code), name ? name + 1 : file, line, expression);
  panic(reason);
}

uint32_t esp_log_timestamp() { return millis(); }
static esp_log_level_t most = ESP_LOG_VERBOSE;
void esp_log_level_set(const char *tag, esp_log_level_t level) {
  if (tag && strcmp(tag, "*") == 0) most = level;
}
void esp_log_write_line(char letter, const char *tag, const char *format, ...) {
  const char *place = strchr("EWIDV", letter);
  if (place && place - "EWIDV" >= int(most)) return;
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  Serial.printf("[%6lu][%c][%s] %s\r\n", millis(), letter, tag, text);
}
}

// --- The watchdog over tasks

namespace {

struct Watched {
  TaskHandle_t task;
  uint64_t fed_us;
} watched[16];
uint32_t watch_ms = 5000;
bool watch_panics = true;

void watch(void *) {
  uint64_t now = board_uptime_us();
  for (Watched &w : watched) {
    if (!w.task || now - w.fed_us < uint64_t(watch_ms) * 1000) continue;
    char reason[96];
    snprintf(reason, sizeof reason, "Task watchdog got triggered: %s did not reset it in time", pcTaskGetName(w.task));
    if (watch_panics) panic(reason);
    log_e("%s", reason);
    w.fed_us = now;
  }
}
Alarm watching = {watch, nullptr, 0, 0, nullptr, false};

Watched *find(TaskHandle_t task) {
  for (Watched &w : watched)
    if (w.task == task) return &w;
  return nullptr;
}

}  // namespace

extern "C" {
esp_err_t esp_task_wdt_reconfigure(const esp_task_wdt_config_t *config) {
  watch_ms = config->timeout_ms;
  watch_panics = config->trigger_panic;
  return ESP_OK;
}
esp_err_t esp_task_wdt_deinit() { return timer_alarms.stop(&watching), ESP_OK; }
esp_err_t esp_task_wdt_add(TaskHandle_t task) {
  if (!task) task = xTaskGetCurrentTaskHandle();
  Watched *w = find(task) ? find(task) : find(nullptr);
  if (!w) return ESP_ERR_NO_MEM;
  *w = {task, board_uptime_us()};
  if (!timer_alarms.active(&watching)) timer_alarms.start(&watching, 100000, 100000);
  return ESP_OK;
}
esp_err_t esp_task_wdt_delete(TaskHandle_t task) {
  Watched *w = find(task ? task : xTaskGetCurrentTaskHandle());
  if (!w) return ESP_ERR_NOT_FOUND;
  w->task = nullptr;
  return ESP_OK;
}
esp_err_t esp_task_wdt_reset() {
  Watched *w = find(xTaskGetCurrentTaskHandle());
  if (!w) return ESP_ERR_NOT_FOUND;
  w->fed_us = board_uptime_us();
  return ESP_OK;
}
}
esp_err_t esp_task_wdt_init(const esp_task_wdt_config_t *config) { return esp_task_wdt_reconfigure(config); }
esp_err_t esp_task_wdt_init(uint32_t timeout_s, bool panics) {
  watch_ms = timeout_s * 1000;
  watch_panics = panics;
  return ESP_OK;
}
