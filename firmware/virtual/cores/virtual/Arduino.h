// The Arduino API of the virtual board, as a sketch for an ESP32 expects it
// (arduino-esp32 2.x and 3.x).
#pragma once

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
// min and max as in arduino-esp32, without the weight of <algorithm>.
#include <bits/stl_algobase.h>

#include <initializer_list>
using std::max;
using std::min;
#endif

#include "esp32-hal.h"
#include "pgmspace.h"
#include "pins_arduino.h"

#define PI 3.1415926535897932384626433832795
#define HALF_PI 1.5707963267948966192313216916398
#define TWO_PI 6.283185307179586476925286766559
#define DEG_TO_RAD 0.017453292519943295769236907684886
#define RAD_TO_DEG 57.295779513082320876798154814105
#define EULER 2.718281828459045235360287471352

#define SERIAL 0x0
#define DISPLAY 0x1
#define LSBFIRST 0
#define MSBFIRST 1

#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(deg) ((deg)*DEG_TO_RAD)
#define degrees(rad) ((rad)*RAD_TO_DEG)
#define sq(x) ((x) * (x))
#define _min(a, b) ((a) < (b) ? (a) : (b))
#define _max(a, b) ((a) > (b) ? (a) : (b))

#define lowByte(w) ((uint8_t)((w)&0xff))
#define highByte(w) ((uint8_t)((w) >> 8))
#define bit(b) (1UL << (b))
#define _BV(b) (1UL << (b))
#define bitRead(value, b) (((value) >> (b)) & 0x01)
#define bitSet(value, b) ((value) |= bit(b))
#define bitClear(value, b) ((value) &= ~bit(b))
#define bitToggle(value, b) ((value) ^= bit(b))
#define bitWrite(value, b, v) ((v) ? bitSet(value, b) : bitClear(value, b))

#define digitalPinToInterrupt(p) ((p) < NUM_DIGITAL_PINS ? (p) : -1)
#define analogInputToDigitalPin(p) (p)
#define NOT_A_PIN -1
#define NOT_A_PORT -1
#define NOT_AN_INTERRUPT -1
#define F_CPU 240000000L
#define clockCyclesPerMicrosecond() (F_CPU / 1000000L)
#define microsecondsToClockCycles(us) ((us)*clockCyclesPerMicrosecond())
#define clockCyclesToMicroseconds(n) ((n) / clockCyclesPerMicrosecond())

typedef bool boolean;
typedef uint8_t byte;
typedef uint16_t word;

#ifdef __cplusplus
extern "C" {
#endif

// The sketch.
void setup(void);
void loop(void);

#ifdef __cplusplus
}

void tone(uint8_t pin, unsigned int frequency, unsigned long duration = 0);
void noTone(uint8_t pin);

unsigned long pulseIn(uint8_t pin, uint8_t state, unsigned long timeout_us = 1000000);
inline unsigned long pulseInLong(uint8_t pin, uint8_t state, unsigned long timeout_us = 1000000) {
  return pulseIn(pin, state, timeout_us);
}
uint8_t shiftIn(uint8_t data, uint8_t clock, uint8_t order);
void shiftOut(uint8_t data, uint8_t clock, uint8_t order, uint8_t value);

// Random until randomSeed, afterwards the sequence of the seed.
long random(long below);
long random(long from, long below);
void randomSeed(unsigned long seed);
long map(long x, long fromLow, long fromHigh, long toLow, long toHigh);
inline uint16_t makeWord(uint16_t w) { return w; }
inline uint16_t makeWord(uint8_t high, uint8_t low) { return uint16_t(high << 8 | low); }
#define word(...) makeWord(__VA_ARGS__)

// The clock: the time server is the machine that the board runs on, asked as soon as
// there is Wi-Fi, whatever names are given.
void configTime(long gmtOffset_s, int daylightOffset_s, const char *server1, const char *server2 = nullptr,
                const char *server3 = nullptr);
void configTzTime(const char *tz, const char *server1, const char *server2 = nullptr, const char *server3 = nullptr);
bool getLocalTime(struct tm *info, uint32_t timeout_ms = 5000);

#include "Client.h"
#include "Esp.h"
#include "HardwareSerial.h"
#include "IPAddress.h"
#include "Server.h"
#include "Udp.h"
#include "WCharacter.h"
#include "WString.h"
#endif
