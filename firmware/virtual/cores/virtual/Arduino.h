// The Arduino API of the virtual board, as a sketch for an ESP32 expects it.
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
// min and max as in arduino-esp32, without the weight of <algorithm>.
#include <bits/stl_algobase.h>
using std::max;
using std::min;
#endif

#include "pgmspace.h"
#include "pins_arduino.h"

#define LOW 0x0
#define HIGH 0x1

#define INPUT 0x01
#define OUTPUT 0x03
#define PULLUP 0x04
#define INPUT_PULLUP 0x05
#define PULLDOWN 0x08
#define INPUT_PULLDOWN 0x09

#define RISING 0x01
#define FALLING 0x02
#define CHANGE 0x03

#define PI 3.1415926535897932384626433832795
#define HALF_PI 1.5707963267948966192313216916398
#define TWO_PI 6.283185307179586476925286766559
#define DEG_TO_RAD 0.017453292519943295769236907684886
#define RAD_TO_DEG 57.295779513082320876798154814105

#define LSBFIRST 0
#define MSBFIRST 1

#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(deg) ((deg)*DEG_TO_RAD)
#define degrees(rad) ((rad)*RAD_TO_DEG)
#define sq(x) ((x) * (x))

#define lowByte(w) ((uint8_t)((w)&0xff))
#define highByte(w) ((uint8_t)((w) >> 8))
#define bit(b) (1UL << (b))
#define bitRead(value, b) (((value) >> (b)) & 0x01)
#define bitSet(value, b) ((value) |= bit(b))
#define bitClear(value, b) ((value) &= ~bit(b))
#define bitToggle(value, b) ((value) ^= bit(b))
#define bitWrite(value, b, v) ((v) ? bitSet(value, b) : bitClear(value, b))

#define digitalPinToInterrupt(p) (p)
#define F_CPU 240000000L
#define IRAM_ATTR
#define RTC_DATA_ATTR

typedef bool boolean;
typedef uint8_t byte;
typedef uint16_t word;

#ifdef __cplusplus
extern "C" {
#endif

// The sketch.
void setup(void);
void loop(void);

// Time since the start of the process.
unsigned long millis(void);
unsigned long micros(void);
void delay(uint32_t ms);
void delayMicroseconds(uint32_t us);
void yield(void);

// Pins remember what was written to them; nothing is connected.
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
int digitalRead(uint8_t pin);
uint16_t analogRead(uint8_t pin);
void analogWrite(uint8_t pin, int value);
void attachInterrupt(uint8_t pin, void (*handler)(void), int mode);
void detachInterrupt(uint8_t pin);

#ifdef __cplusplus
}

void tone(uint8_t pin, unsigned int frequency, unsigned long duration = 0);
void noTone(uint8_t pin);

long random(long below);
long random(long from, long below);
void randomSeed(unsigned long seed);
long map(long x, long fromLow, long fromHigh, long toLow, long toHigh);

#include "Esp.h"
#include "HardwareSerial.h"
#include "IPAddress.h"
#include "WCharacter.h"
#include "WString.h"
#endif
