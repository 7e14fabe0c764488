// PWM. The number in ledcWrite and others is a pin where the pin was attached with
// ledcAttach (3.x), else a channel (2.x).
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef enum {
  NOTE_C,
  NOTE_Cs,
  NOTE_D,
  NOTE_Eb,
  NOTE_E,
  NOTE_F,
  NOTE_Fs,
  NOTE_G,
  NOTE_Gs,
  NOTE_A,
  NOTE_Bb,
  NOTE_B,
  NOTE_MAX
} note_t;

#ifdef __cplusplus
extern "C" {
#endif

// 3.x
bool ledcAttach(uint8_t pin, uint32_t frequency, uint8_t bits);
bool ledcAttachChannel(uint8_t pin, uint32_t frequency, uint8_t bits, uint8_t channel);
bool ledcDetach(uint8_t pin);
bool ledcWriteChannel(uint8_t channel, uint32_t duty);
bool ledcFade(uint8_t pin, uint32_t from, uint32_t to, int time_ms);
bool ledcOutputInvert(uint8_t pin, bool invert);

// 2.x
uint32_t ledcSetup(uint8_t channel, uint32_t frequency, uint8_t bits);
void ledcAttachPin(uint8_t pin, uint8_t channel);
void ledcDetachPin(uint8_t pin);

// Both
bool ledcWrite(uint8_t pinOrChannel, uint32_t duty);
uint32_t ledcRead(uint8_t pinOrChannel);
uint32_t ledcReadFreq(uint8_t pinOrChannel);
uint32_t ledcWriteTone(uint8_t pinOrChannel, uint32_t frequency);
uint32_t ledcWriteNote(uint8_t pinOrChannel, note_t note, uint8_t octave);
uint32_t ledcChangeFrequency(uint8_t pinOrChannel, uint32_t frequency, uint8_t bits);

#ifdef __cplusplus
}
#endif
