#include <time.h>

#include "Arduino.h"
#include "board.h"
#include "kernel.h"

namespace {

struct Pin {
  uint8_t mode;
  int level;     // that it puts out
  int seen;      // that an input had last
  uint8_t bits;  // of analogWrite
  uint8_t edge;  // on which its handler runs
  uint8_t touched;
  void (*handler)(void *);
  void *argument;
  void (*touch)();
  touch_value_t threshold;
};

Pin pins[NUM_DIGITAL_PINS];
uint8_t adc_bits = 12;

bool is_output(const Pin &p) { return (p.mode & OUTPUT) == OUTPUT && p.mode != ANALOG; }

BoardPinMode told(uint8_t mode) {
  if ((mode & OUTPUT) == OUTPUT) return BoardPinMode::out;
  return mode & PULLUP ? BoardPinMode::pullup : mode & PULLDOWN ? BoardPinMode::pulldown : BoardPinMode::in;
}

// What an input is at: an analogue value counts from its middle on.
int level_of(int pin, int input) {
  if (input < 0) return pins[pin].mode & PULLUP ? HIGH : LOW;
  return input == 1 || input > 2047;
}

void fire(Pin &p, int before, int after) {
  if (!p.handler || before == after) return;
  bool rises = after != LOW;
  if (p.edge == CHANGE || (rises ? p.edge == RISING || p.edge == ONHIGH : p.edge == FALLING || p.edge == ONLOW)) {
    interrupt_begin();
    if (p.handler) p.handler(p.argument);
    interrupt_end();
  }
}

// In the machine's thread: somebody outside changed an input.
void changed(int pin, int value) {
  if (pin < 0 || pin >= NUM_DIGITAL_PINS) return;
  Pin &p = pins[pin];
  if (p.touch && value < p.threshold) {
    interrupt_begin();
    p.touch();
    interrupt_end();
  }
  if (is_output(p)) return;
  int before = p.seen;
  p.seen = level_of(pin, value);
  fire(p, before, p.seen);
}

void call_plain(void *handler) { reinterpret_cast<void (*)()>(handler)(); }

// An input that nobody is connected to drifts.
int drift(uint8_t pin) { return int((millis() / 10 + pin * 97) % 4096); }

}  // namespace

extern "C" {

void pinMode(uint8_t pin, uint8_t mode) {
  if (pin >= NUM_DIGITAL_PINS) return;
  Pin &p = pins[pin];
  p.mode = mode;
  p.seen = level_of(pin, board_pin_input(pin));
  board_pin(pin, told(mode), digitalRead(pin));
}

void digitalWrite(uint8_t pin, uint8_t value) {
  if (pin >= NUM_DIGITAL_PINS) return;
  Pin &p = pins[pin];
  int before = p.level;
  p.level = value ? HIGH : LOW;
  if (!is_output(p)) return;
  board_pin(pin, BoardPinMode::out, p.level);
  fire(p, before, p.level);
}

int digitalRead(uint8_t pin) {
  if (pin >= NUM_DIGITAL_PINS) return LOW;
  const Pin &p = pins[pin];
  return is_output(p) ? p.level != LOW : level_of(pin, board_pin_input(pin));
}

void attachInterruptArg(uint8_t pin, void (*handler)(void *), void *argument, int mode) {
  if (pin >= NUM_DIGITAL_PINS) return;
  vPortEnterCritical();
  Pin &p = pins[pin];
  p.handler = handler;
  p.argument = argument;
  p.edge = mode;
  p.seen = level_of(pin, board_pin_input(pin));
  vPortExitCritical();
  board_on_pin(changed);
}

void attachInterrupt(uint8_t pin, void (*handler)(), int mode) {
  attachInterruptArg(pin, call_plain, reinterpret_cast<void *>(handler), mode);
}

void detachInterrupt(uint8_t pin) {
  if (pin >= NUM_DIGITAL_PINS) return;
  vPortEnterCritical();
  pins[pin].handler = nullptr;
  vPortExitCritical();
}

uint16_t analogRead(uint8_t pin) {
  if (pin >= NUM_DIGITAL_PINS) return 0;
  int input = board_pin_input(pin), value = input >= 0 ? (input < 4096 ? input : 4095) : drift(pin);
  board_pin(pin, BoardPinMode::adc, value);
  return adc_bits >= 12 ? value << (adc_bits - 12) : value >> (12 - adc_bits);
}

uint32_t analogReadMilliVolts(uint8_t pin) {
  uint32_t value = analogRead(pin);
  return (adc_bits >= 12 ? value >> (adc_bits - 12) : value << (12 - adc_bits)) * 3300 / 4095;
}

void analogReadResolution(uint8_t bits) {
  if (bits >= 1 && bits <= 16) adc_bits = bits;
}

void analogWrite(uint8_t pin, int value) {
  if (pin >= NUM_DIGITAL_PINS) return;
  Pin &p = pins[pin];
  uint8_t bits = p.bits ? p.bits : 8;
  int top = (1 << bits) - 1;
  p.mode = OUTPUT;
  p.level = value < 0 ? 0 : value > top ? top : value;
  board_pin(pin, BoardPinMode::pwm, p.level * 255 / top);
}

void analogWriteResolution(uint8_t pin, uint8_t bits) {
  if (pin < NUM_DIGITAL_PINS && bits >= 1 && bits <= 16) pins[pin].bits = bits;
}
void analogWriteFrequency(uint8_t, uint32_t) {}

bool dacWrite(uint8_t pin, uint8_t value) {
  if (pin != 25 && pin != 26) return false;
  board_pin(pin, BoardPinMode::pwm, value);
  return true;
}

touch_value_t touchRead(uint8_t pin) {
  int input = board_pin_input(pin);
  return input >= 0 ? input : 68 + board_random() % 5;
}
void touchAttachInterrupt(uint8_t pin, void (*handler)(), touch_value_t threshold) {
  if (pin >= NUM_DIGITAL_PINS) return;
  pins[pin].threshold = threshold;
  pins[pin].touch = handler;
  board_on_pin(changed);
}
void touchDetachInterrupt(uint8_t pin) {
  if (pin < NUM_DIGITAL_PINS) pins[pin].touch = nullptr;
}

void rgbLedWrite(uint8_t pin, uint8_t red, uint8_t green, uint8_t blue) {
  board_pin(pin, BoardPinMode::pwm, max(red, max(green, blue)));
}

// --- ESP-IDF's names

esp_err_t gpio_set_direction(gpio_num_t pin, gpio_mode_t mode) {
  if (pin < 0 || pin >= NUM_DIGITAL_PINS) return ESP_ERR_INVALID_ARG;
  pinMode(pin, mode & GPIO_MODE_OUTPUT ? OUTPUT : INPUT);
  return ESP_OK;
}
esp_err_t gpio_set_level(gpio_num_t pin, uint32_t level) {
  if (pin < 0 || pin >= NUM_DIGITAL_PINS) return ESP_ERR_INVALID_ARG;
  digitalWrite(pin, level != 0);
  return ESP_OK;
}
int gpio_get_level(gpio_num_t pin) { return pin < 0 ? 0 : digitalRead(pin); }
esp_err_t gpio_pullup_en(gpio_num_t pin) { return pinMode(pin, INPUT_PULLUP), ESP_OK; }
esp_err_t gpio_pulldown_en(gpio_num_t pin) { return pinMode(pin, INPUT_PULLDOWN), ESP_OK; }
}

// --- What a sketch does with pins in a row

unsigned long pulseIn(uint8_t pin, uint8_t state, unsigned long timeout_us) {
  uint64_t began = board_uptime_us(), start;
  auto wait = [&](bool level) {
    while ((digitalRead(pin) == state) != level) {
      if (board_uptime_us() - began > timeout_us) return false;
      delayMicroseconds(10);
    }
    return true;
  };
  if (!wait(false) || !wait(true)) return 0;
  start = board_uptime_us();
  return wait(false) ? board_uptime_us() - start : 0;
}

uint8_t shiftIn(uint8_t data, uint8_t clock, uint8_t order) {
  uint8_t value = 0;
  for (int i = 0; i < 8; i++) {
    digitalWrite(clock, HIGH);
    value |= digitalRead(data) << (order == LSBFIRST ? i : 7 - i);
    digitalWrite(clock, LOW);
  }
  return value;
}

void shiftOut(uint8_t data, uint8_t clock, uint8_t order, uint8_t value) {
  for (int i = 0; i < 8; i++) {
    digitalWrite(data, value >> (order == LSBFIRST ? i : 7 - i) & 1);
    digitalWrite(clock, HIGH);
    digitalWrite(clock, LOW);
  }
}
