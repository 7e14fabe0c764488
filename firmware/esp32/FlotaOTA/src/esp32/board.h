// flota::Board on an ESP32.
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <esp_timer.h>

#include <atomic>

#include "../flota/phases.h"

// The trigger button and the status LED; a sketch may define its own:
//
//   extern "C" int flota_button_pin() { return 4; }  // to ground; -1: none
//   extern "C" void flota_led(bool on) { digitalWrite(LED_BUILTIN, on); }
//
// Otherwise the button is the board's BOOT button, which is GPIO0 on ESP32, S2 and S3, and
// there is no LED, since most sketches have a use for it themselves.
extern "C" int flota_button_pin();
extern "C" void flota_led(bool on);

namespace flota {

class EspBoard final : public Board {
 public:
  uint64_t millis() override;
  void wait(uint32_t ms) override;
  uint32_t random() override;
  Reset reset() override;
  [[noreturn]] void restart() override;
  void feed() override;
  bool pressed() override;
  void light(Light light) override;
  const char *chip() override;
  const char *mac() override;
  uint32_t free_heap() override;
  int rssi() override;

 private:
  void watch();
  void blink();

  std::atomic<uint32_t> fed_{0};  // seconds since the start
  std::atomic<Light> light_{Light::idle};
  esp_timer_handle_t dog_ = nullptr;
  esp_timer_handle_t blinker_ = nullptr;
  uint32_t step_ = 0;
  bool lit_ = false;
  bool button_ready_ = false;
  Debounced button_;
  char mac_[13] = "";
};

}  // namespace flota

#endif
