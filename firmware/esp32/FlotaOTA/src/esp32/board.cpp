#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "board.h"

#include <Arduino.h>
#include <WiFi.h>
#include <driver/gpio.h>
#include <esp_attr.h>
#include <esp_heap_caps.h>
#include <esp_system.h>
#include <sdkconfig.h>
#include <stdlib.h>
#if ESP_ARDUINO_VERSION_MAJOR >= 3
#include <esp_mac.h>
#include <esp_random.h>
#endif

#include "../flota/text.h"

#if defined(CONFIG_IDF_TARGET_ESP32C3) || defined(CONFIG_IDF_TARGET_ESP32C2) || defined(CONFIG_IDF_TARGET_ESP32C6) || \
    defined(CONFIG_IDF_TARGET_ESP32H2)
#define FLOTA_BOOT_BUTTON 9
#elif defined(CONFIG_IDF_TARGET_ESP32C5)
#define FLOTA_BOOT_BUTTON 28
#elif defined(CONFIG_IDF_TARGET_ESP32P4)
#define FLOTA_BOOT_BUTTON 35
#else
#define FLOTA_BOOT_BUTTON 0
#endif

extern "C" __attribute__((weak)) int flota_button_pin() { return FLOTA_BOOT_BUTTON; }
extern "C" __attribute__((weak)) void flota_led(bool on);

namespace flota {

namespace {

constexpr uint32_t kWatchdog = 90;  // seconds; see Board::feed
constexpr uint32_t kHung = 0x464C4F54;

// Why the restart that comes was: it outlives one, and a panic, but no loss of power.
RTC_NOINIT_ATTR uint32_t hung;

uint32_t seconds() { return uint32_t(esp_timer_get_time() / 1000000); }

Reset reason() {
  bool dog = hung == kHung;
  hung = 0;
  switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
      return Reset::power;
    case ESP_RST_EXT:
    case ESP_RST_SDIO:
      return Reset::external;
    case ESP_RST_SW:
      return Reset::software;
    case ESP_RST_PANIC:
      return dog ? Reset::watchdog : Reset::crash;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
      return Reset::watchdog;
    case ESP_RST_DEEPSLEEP:
      return Reset::sleep;
    case ESP_RST_BROWNOUT:
      return Reset::brownout;
    default:
      return Reset::unknown;
  }
}

}  // namespace

uint64_t EspBoard::millis() { return uint64_t(esp_timer_get_time()) / 1000; }
void EspBoard::wait(uint32_t ms) { vTaskDelay(ms < portTICK_PERIOD_MS ? 1 : pdMS_TO_TICKS(ms)); }
uint32_t EspBoard::random() { return esp_random(); }

Reset EspBoard::reset() {
  static const Reset known = reason();
  return known;
}

[[noreturn]] void EspBoard::restart() {
  esp_restart();
  for (;;) {
  }
}

// The task watchdog has one limit for all tasks, and the sketch may use it: the agent has one
// of its own, which looks every few seconds whether it was fed. The first time arms it.
void EspBoard::feed() {
  fed_ = seconds();
  if (dog_ != nullptr) return;
  esp_timer_create_args_t args = {};
  args.callback = [](void *self) { static_cast<EspBoard *>(self)->watch(); };
  args.arg = this;
  args.name = "flota-watchdog";
  if (esp_timer_create(&args, &dog_) == ESP_OK) esp_timer_start_periodic(dog_, 5000000);
}

// A panic, and not a restart: that waits for Wi-Fi to stop, which may be what hangs.
void EspBoard::watch() {
  if (seconds() - fed_ < kWatchdog) return;
  hung = kHung;
  abort();
}

// The BOOT button has its pull-up from reset on, so that pin is left as it is: a sketch
// may have a use for it. Any other becomes an input.
bool EspBoard::pressed() {
  int pin = flota_button_pin();
  if (pin < 0) return false;
  if (!button_ready_ && pin != FLOTA_BOOT_BUTTON) {
    gpio_config_t config = {};
    config.pin_bit_mask = 1ULL << pin;
    config.mode = GPIO_MODE_INPUT;
    config.pull_up_en = GPIO_PULLUP_ENABLE;
    gpio_config(&config);
  }
  button_ready_ = true;
  return button_.step(gpio_get_level(gpio_num_t(pin)) == 0, millis());
}

void EspBoard::light(Light light) {
  light_ = light;
  if (blinker_ != nullptr || flota_led == nullptr) return;
  esp_timer_create_args_t args = {};
  args.callback = [](void *self) { static_cast<EspBoard *>(self)->blink(); };
  args.arg = this;
  args.name = "flota-led";
  if (esp_timer_create(&args, &blinker_) == ESP_OK) esp_timer_start_periodic(blinker_, kPhaseStep * 1000);
}

void EspBoard::blink() {
  bool on = lit(light_, step_++);
  if (on != lit_) flota_led(on);
  lit_ = on;
}

const char *EspBoard::chip() {
#if defined(CONFIG_IDF_TARGET_ESP32)
  return "ESP32";
#elif defined(CONFIG_IDF_TARGET_ESP32S2)
  return "ESP32-S2";
#elif defined(CONFIG_IDF_TARGET_ESP32S3)
  return "ESP32-S3";
#elif defined(CONFIG_IDF_TARGET_ESP32C2)
  return "ESP32-C2";
#elif defined(CONFIG_IDF_TARGET_ESP32C3)
  return "ESP32-C3";
#elif defined(CONFIG_IDF_TARGET_ESP32C5)
  return "ESP32-C5";
#elif defined(CONFIG_IDF_TARGET_ESP32C6)
  return "ESP32-C6";
#elif defined(CONFIG_IDF_TARGET_ESP32H2)
  return "ESP32-H2";
#elif defined(CONFIG_IDF_TARGET_ESP32P4)
  return "ESP32-P4";
#else
  return CONFIG_IDF_TARGET;
#endif
}

const char *EspBoard::mac() {
  uint8_t bytes[6];
  if (mac_[0] == 0 && esp_efuse_mac_get_default(bytes) == ESP_OK) hex(bytes, sizeof bytes, mac_);
  return mac_;
}

uint32_t EspBoard::free_heap() { return uint32_t(heap_caps_get_free_size(MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT)); }

int EspBoard::rssi() { return WiFi.status() == WL_CONNECTED ? WiFi.RSSI() : 0; }

}  // namespace flota

#endif
