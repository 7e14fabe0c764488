// flota::Board on a Pico.
#pragma once
#if defined(ARDUINO_ARCH_RP2040)

#include "../flota/phases.h"
#include "../flota/ports.h"

// The trigger button and the status LED; a sketch may define its own:
//
//   extern "C" int flota_button_pin() { return 4; }  // to ground; -1: none
//   extern "C" void flota_led(bool on) { digitalWrite(LED_BUILTIN, on); }
//
// Otherwise the button is BOOTSEL, which is looked at five times a second, and there is no LED, since
// most sketches have a use for it themselves.
extern "C" int flota_button_pin();
extern "C" void flota_led(bool on);

namespace flota {

constexpr int kBootsel = -2;  // of flota_button_pin

// reset_reason is why this start happened, as far as the chip and the start before tell.
Reset reset_reason();
// returned says that the old image runs again, and how the trial of the new one ended.
void returned(Reset cause);
// arm starts the watchdog of the chip. From then on it is fed as long as the agent feeds its own;
// a start in which the agent never comes to that ends, too.
void arm();
// catch_faults makes a crash a restart that says so.
void catch_faults();
[[noreturn]] void restart_as(Reset reason);

class PicoBoard final : public Board {
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
  void blink();

  Light light_ = Light::idle;
  bool lit_ = false, button_ready_ = false, down_ = false;
  uint64_t look_at_ = 0;
  Debounced button_;
};

}  // namespace flota

#endif
