#include <sched.h>
#include <time.h>

#include "Arduino.h"

static uint64_t now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return uint64_t(t.tv_sec) * 1000000 + t.tv_nsec / 1000;
}

// Since the first question, so that a constructor may ask too.
static uint64_t running_us() {
  static const uint64_t started = now_us();
  return now_us() - started;
}

unsigned long micros() { return uint32_t(running_us()); }
unsigned long millis() { return uint32_t(running_us() / 1000); }

void delayMicroseconds(uint32_t us) {
  timespec t = {time_t(us / 1000000), long(us % 1000000) * 1000};
  while (nanosleep(&t, &t) != 0) {
  }
}

// What was printed without a newline is seen before the board sleeps.
void delay(uint32_t ms) {
  Serial.flush();
  timespec t = {time_t(ms / 1000), long(ms % 1000) * 1000000};
  while (nanosleep(&t, &t) != 0) {
  }
}

void yield() { sched_yield(); }

static uint8_t modes[NUM_DIGITAL_PINS];
static int levels[NUM_DIGITAL_PINS];

void pinMode(uint8_t pin, uint8_t mode) {
  if (pin >= NUM_DIGITAL_PINS) return;
  modes[pin] = mode;
  if (mode == INPUT_PULLUP) levels[pin] = HIGH;
}

void digitalWrite(uint8_t pin, uint8_t value) {
  if (pin < NUM_DIGITAL_PINS) levels[pin] = value ? HIGH : LOW;
}

int digitalRead(uint8_t pin) { return pin < NUM_DIGITAL_PINS && levels[pin] ? HIGH : LOW; }

// An unconnected input drifts.
uint16_t analogRead(uint8_t pin) { return pin < NUM_DIGITAL_PINS ? (millis() / 10 + pin * 97) % 4096 : 0; }

void analogWrite(uint8_t pin, int value) {
  if (pin < NUM_DIGITAL_PINS) levels[pin] = value;
}

void attachInterrupt(uint8_t, void (*)(void), int) {}
void detachInterrupt(uint8_t) {}
void tone(uint8_t, unsigned int, unsigned long) {}
void noTone(uint8_t) {}

void randomSeed(unsigned long seed) {
  if (seed) srandom(seed);
}
long random(long below) { return below > 0 ? ::random() % below : 0; }
long random(long from, long below) { return from < below ? from + random(below - from) : from; }

long map(long x, long fromLow, long fromHigh, long toLow, long toHigh) {
  return fromHigh == fromLow ? toLow : (x - fromLow) * (toHigh - toLow) / (fromHigh - fromLow) + toLow;
}
