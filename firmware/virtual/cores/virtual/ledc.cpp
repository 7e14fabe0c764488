// PWM and tones. Pins tell the outside their duty as 0…255.
#include <stdlib.h>

#include "Arduino.h"
#include "board.h"
#include "kernel.h"

namespace {

const int kChannels = 16;

struct Channel {
  uint32_t frequency, duty;
  uint8_t bits;
};

Channel channels[kChannels];
// Of each pin: its channel, counted from 1, and whether calls name the pin and not the channel.
uint8_t channel_of[NUM_DIGITAL_PINS];
bool by_pin[NUM_DIGITAL_PINS], inverted[NUM_DIGITAL_PINS];

Channel *find(uint8_t pinOrChannel, int *number = nullptr) {
  int c = -1;
  if (pinOrChannel < NUM_DIGITAL_PINS && by_pin[pinOrChannel]) {
    c = channel_of[pinOrChannel] - 1;
  } else if (pinOrChannel < kChannels && channels[pinOrChannel].bits) {
    c = pinOrChannel;
  }
  if (number) *number = c;
  return c < 0 ? nullptr : &channels[c];
}

void show(int number) {
  const Channel &c = channels[number];
  uint64_t top = 1ull << c.bits, duty = c.duty < top ? c.duty : top;
  for (int pin = 0; pin < NUM_DIGITAL_PINS; pin++) {
    if (channel_of[pin] != number + 1) continue;
    int value = int(duty * 255 / (top - 1 ? top - 1 : 1));
    if (value > 255) value = 255;
    board_pin(pin, BoardPinMode::pwm, inverted[pin] ? 255 - value : value);
  }
}

bool possible(uint32_t frequency, uint8_t bits) {
  return frequency > 0 && bits >= 1 && bits <= 20 && (uint64_t(frequency) << bits) <= 80000000;
}

}  // namespace

extern "C" {

uint32_t ledcSetup(uint8_t channel, uint32_t frequency, uint8_t bits) {
  if (channel >= kChannels || !possible(frequency, bits)) return 0;
  channels[channel] = {frequency, 0, bits};
  return frequency;
}

void ledcAttachPin(uint8_t pin, uint8_t channel) {
  if (pin >= NUM_DIGITAL_PINS || channel >= kChannels) return;
  channel_of[pin] = channel + 1;
  by_pin[pin] = false;
  show(channel);
}

void ledcDetachPin(uint8_t pin) {
  if (pin >= NUM_DIGITAL_PINS) return;
  if (by_pin[pin] && channel_of[pin]) channels[channel_of[pin] - 1] = {};
  channel_of[pin] = 0;
  by_pin[pin] = false;
}

bool ledcAttachChannel(uint8_t pin, uint32_t frequency, uint8_t bits, uint8_t channel) {
  if (pin >= NUM_DIGITAL_PINS || channel_of[pin] || !ledcSetup(channel, frequency, bits)) return false;
  channel_of[pin] = channel + 1;
  by_pin[pin] = true;
  show(channel);
  return true;
}

bool ledcAttach(uint8_t pin, uint32_t frequency, uint8_t bits) {
  for (int c = 0; c < kChannels; c++)
    if (!channels[c].bits) return ledcAttachChannel(pin, frequency, bits, c);
  return false;
}

bool ledcDetach(uint8_t pin) {
  if (pin >= NUM_DIGITAL_PINS || !channel_of[pin]) return false;
  ledcDetachPin(pin);
  return true;
}

bool ledcWriteChannel(uint8_t channel, uint32_t duty) {
  if (channel >= kChannels || !channels[channel].bits) return false;
  channels[channel].duty = duty;
  show(channel);
  return true;
}

bool ledcWrite(uint8_t pinOrChannel, uint32_t duty) {
  int number;
  return find(pinOrChannel, &number) && ledcWriteChannel(number, duty);
}

uint32_t ledcRead(uint8_t pinOrChannel) {
  const Channel *c = find(pinOrChannel);
  return c ? c->duty : 0;
}

uint32_t ledcReadFreq(uint8_t pinOrChannel) {
  const Channel *c = find(pinOrChannel);
  return c && c->duty ? c->frequency : 0;
}

uint32_t ledcChangeFrequency(uint8_t pinOrChannel, uint32_t frequency, uint8_t bits) {
  Channel *c = find(pinOrChannel);
  if (!c || !possible(frequency, bits)) return 0;
  c->frequency = frequency;
  c->bits = bits;
  return frequency;
}

uint32_t ledcWriteTone(uint8_t pinOrChannel, uint32_t frequency) {
  if (frequency && !ledcChangeFrequency(pinOrChannel, frequency, 10)) return 0;
  ledcWrite(pinOrChannel, frequency ? 0x1FF : 0);
  return frequency;
}

uint32_t ledcWriteNote(uint8_t pinOrChannel, note_t note, uint8_t octave) {
  static const uint16_t base[NOTE_MAX] = {4186, 4435, 4699, 4978, 5274, 5588, 5920, 6272, 6645, 7040, 7459, 7902};
  if (note >= NOTE_MAX || octave > 8) return 0;
  return ledcWriteTone(pinOrChannel, base[note] >> (8 - octave));
}

bool ledcOutputInvert(uint8_t pin, bool invert) {
  if (pin >= NUM_DIGITAL_PINS || !channel_of[pin]) return false;
  inverted[pin] = invert;
  show(channel_of[pin] - 1);
  return true;
}

namespace {
struct Fade {
  Alarm alarm;  // first: released with the whole
  uint8_t pin;
  uint32_t from, to;
  uint64_t began_us, us;
};

void fade_step(void *fade) {
  Fade *f = static_cast<Fade *>(fade);
  uint64_t passed = board_uptime_us() - f->began_us;
  bool done = passed >= f->us;
  ledcWrite(f->pin, done ? f->to : f->from + (int64_t(f->to) - int64_t(f->from)) * int64_t(passed) / int64_t(f->us));
  if (done) timer_alarms.release(&f->alarm);
}
}  // namespace

bool ledcFade(uint8_t pin, uint32_t from, uint32_t to, int time_ms) {
  if (!find(pin) || time_ms <= 0) return false;
  Fade *f = static_cast<Fade *>(calloc(1, sizeof(Fade)));
  if (!f) return false;
  *f = {{fade_step, f, 0, 0, nullptr, false}, pin, from, to, board_uptime_us(), uint64_t(time_ms) * 1000};
  ledcWrite(pin, from);
  timer_alarms.start(&f->alarm, 20000, 20000);
  return true;
}
}

static uint8_t sounding;
static Alarm tone_end = {[](void *) { noTone(sounding); }, nullptr, 0, 0, nullptr, false};

void tone(uint8_t pin, unsigned int frequency, unsigned long duration) {
  timer_alarms.stop(&tone_end);
  sounding = pin;
  board_pin(pin, BoardPinMode::pwm, frequency ? 128 : 0);
  if (duration) timer_alarms.start(&tone_end, uint64_t(duration) * 1000, 0);
}

void noTone(uint8_t pin) { board_pin(pin, BoardPinMode::pwm, 0); }
