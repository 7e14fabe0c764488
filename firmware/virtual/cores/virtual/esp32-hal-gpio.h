#pragma once
#include <stdbool.h>
#include <stdint.h>

#define LOW 0x0
#define HIGH 0x1

#define INPUT 0x01
#define OUTPUT 0x03
#define PULLUP 0x04
#define INPUT_PULLUP 0x05
#define PULLDOWN 0x08
#define INPUT_PULLDOWN 0x09
#define OPEN_DRAIN 0x10
#define OUTPUT_OPEN_DRAIN 0x13
#define ANALOG 0xC0

#define DISABLED 0x00
#define RISING 0x01
#define FALLING 0x02
#define CHANGE 0x03
#define ONLOW 0x04
#define ONHIGH 0x05

typedef enum { ADC_0db, ADC_2_5db, ADC_6db, ADC_11db } adc_attenuation_t;
typedef uint16_t touch_value_t;

#ifdef __cplusplus
extern "C" {
#endif

// An input has the level that somebody gave it from outside; until then its pull's.
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t level);
int digitalRead(uint8_t pin);

// Handlers run one at a time, in another thread than the sketch.
void attachInterrupt(uint8_t pin, void (*handler)(void), int mode);
void attachInterruptArg(uint8_t pin, void (*handler)(void *), void *argument, int mode);
void detachInterrupt(uint8_t pin);

// 12 bits. Until somebody gives it a value from outside, an input drifts.
uint16_t analogRead(uint8_t pin);
uint32_t analogReadMilliVolts(uint8_t pin);
void analogReadResolution(uint8_t bits);
static inline void analogSetWidth(uint8_t bits) { analogReadResolution(bits); }
static inline void analogSetAttenuation(adc_attenuation_t a) { (void)a; }
static inline void analogSetPinAttenuation(uint8_t pin, adc_attenuation_t a) { (void)pin, (void)a; }
static inline bool adcAttachPin(uint8_t pin) { return pin < 40; }

void analogWrite(uint8_t pin, int value);
void analogWriteResolution(uint8_t pin, uint8_t bits);
void analogWriteFrequency(uint8_t pin, uint32_t frequency);

bool dacWrite(uint8_t pin, uint8_t value);
static inline bool dacDisable(uint8_t pin) { return dacWrite(pin, 0); }

// What nobody touches reads about 70; touched pins read less.
touch_value_t touchRead(uint8_t pin);
void touchAttachInterrupt(uint8_t pin, void (*handler)(void), touch_value_t threshold);
void touchDetachInterrupt(uint8_t pin);
static inline void touchSetCycles(uint16_t measure, uint16_t sleep) { (void)measure, (void)sleep; }
static inline int hallRead(void) { return 20; }

// A colour light on one pin: shown as its brightest colour.
void rgbLedWrite(uint8_t pin, uint8_t red, uint8_t green, uint8_t blue);
#define neopixelWrite rgbLedWrite

#ifdef __cplusplus
}
#endif
