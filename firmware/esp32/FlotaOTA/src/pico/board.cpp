#if defined(ARDUINO_ARCH_RP2040)

#include "board.h"

#include <Arduino.h>
#include <WiFi.h>
#include <hardware/exception.h>
#include <hardware/watchdog.h>
#include <pico/platform.h>
#include <pico/rand.h>
#include <pico/time.h>
#include <string.h>

#include "thread.h"

extern "C" __attribute__((weak)) int flota_button_pin() { return flota::kBootsel; }
extern "C" __attribute__((weak)) void flota_led(bool on);

namespace flota {

namespace {

constexpr uint32_t kWatchdog = 90;  // seconds; see Board::feed
constexpr uint32_t kChip = 8000;    // milliseconds, of the chip's own watchdog; an RP2040 has at most 8388
constexpr uint32_t kLook = 200;     // between two looks at BOOTSEL, during which the flash cannot be read

constexpr uint32_t kMagic = 0x464C4F00;  // and a Reset

// Why the restart that comes was: it outlives one, but no loss of power.
uint32_t __uninitialized_ram(flota_why);

volatile uint32_t fed = 0;  // milliseconds since the start
volatile bool armed = false;
Reset why = Reset::unknown;
bool why_known = false;

void fault() { restart_as(Reset::crash); }

// watch is called in the timer's interrupt: where these do not come any more, the chip's watchdog is not fed.
void watch() {
  if (!armed) return;
  if (to_ms_since_boot(get_absolute_time()) - fed >= kWatchdog * 1000) restart_as(Reset::watchdog);
  watchdog_update();
}

Reset reason() {
  uint32_t said = flota_why;
  flota_why = 0;
  RP2040::resetReason_t reset = rp2040.getResetReason();
  if (watchdog_caused_reboot() && (said & 0xFFFFFF00) == kMagic) return Reset(said & 0xFF);
  switch (reset) {
    case RP2040::PWRON_RESET:
      return Reset::power;
    case RP2040::BROWNOUT_RESET:
    case RP2040::GLITCH_RESET:
      return Reset::brownout;
    case RP2040::RUN_PIN_RESET:
    case RP2040::DEBUG_RESET:
      return Reset::external;
    case RP2040::SOFT_RESET:
      return Reset::software;
    case RP2040::WDT_RESET:
      return Reset::watchdog;
    default:
      return Reset::unknown;
  }
}

}  // namespace

[[noreturn]] void restart_as(Reset reason) {
  flota_why = kMagic | uint32_t(reason);
  watchdog_reboot(0, 0, 0);
  for (;;) {
  }
}

Reset reset_reason() {
  if (!why_known) why = reason();
  why_known = true;
  return why;
}

void returned(Reset cause) {
  why = cause;
  why_known = true;
}

void arm() {
  if (armed) return;
  watchdog_enable(kChip, true);
  armed = true;
  start_ticks(watch);
}

void catch_faults() { exception_set_exclusive_handler(HARDFAULT_EXCEPTION, fault); }

uint64_t PicoBoard::millis() { return time_us_64() / 1000; }

void PicoBoard::wait(uint32_t ms) {
  blink();
  flota::wait(ms);
}

uint32_t PicoBoard::random() { return get_rand_32(); }

Reset PicoBoard::reset() { return reset_reason(); }

[[noreturn]] void PicoBoard::restart() {
  Serial.flush();
  restart_as(Reset::software);
}

// The first time arms it.
void PicoBoard::feed() {
  fed = to_ms_since_boot(get_absolute_time());
  arm();
  blink();
}

bool PicoBoard::pressed() {
  int pin = flota_button_pin();
  if (pin == kBootsel) {
    if (millis() < look_at_) return down_;
    look_at_ = millis() + kLook;
    Lock lock;
    down_ = BOOTSEL;
    return down_;
  }
  if (pin < 0) return false;
  if (!button_ready_) pinMode(pin_size_t(pin), INPUT_PULLUP);
  button_ready_ = true;
  return button_.step(digitalRead(pin_size_t(pin)) == LOW, millis());
}

void PicoBoard::light(Light light) { light_ = light; }

void PicoBoard::blink() {
  if (flota_led == nullptr) return;
  bool on = lit(light_, uint32_t(millis() / kPhaseStep));
  if (on != lit_) flota_led(on);
  lit_ = on;
}

const char *PicoBoard::chip() {
#if defined(PICO_RP2350)
  return "RP2350";
#else
  return "RP2040";
#endif
}

// The end of the chip's own number: the radio knows its address only once it is on.
const char *PicoBoard::mac() {
  static char id[13];
  const char *all = rp2040.getChipID();
  size_t length = strlen(all);
  for (size_t i = 0; i < 12 && length >= 12; i++) id[i] = char(tolower(all[length - 12 + i]));
  return id;
}

uint32_t PicoBoard::free_heap() { return uint32_t(rp2040.getFreeHeap()); }

int PicoBoard::rssi() { return WiFi.status() == WL_CONNECTED ? int(WiFi.RSSI()) : 0; }

}  // namespace flota

#endif
