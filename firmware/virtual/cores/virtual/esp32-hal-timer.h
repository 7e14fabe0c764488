// Hardware timers. Their handlers run as interrupts do: one at a time, in a thread of their own.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct hw_timer_s hw_timer_t;

#ifdef __cplusplus
// 3.x: ticks of `frequency` Hz. nullptr: there are four timers.
hw_timer_t *timerBegin(uint32_t frequency);
void timerAttachInterrupt(hw_timer_t *timer, void (*handler)(void));
// 2.x: ticks of 80 MHz / divider.
hw_timer_t *timerBegin(uint8_t number, uint16_t divider, bool up);
void timerAttachInterrupt(hw_timer_t *timer, void (*handler)(void), bool edge);

extern "C" {
#endif

void timerEnd(hw_timer_t *timer);
void timerAttachInterruptArg(hw_timer_t *timer, void (*handler)(void *), void *argument);
void timerDetachInterrupt(hw_timer_t *timer);
void timerStart(hw_timer_t *timer);
void timerStop(hw_timer_t *timer);
void timerRestart(hw_timer_t *timer);
void timerWrite(hw_timer_t *timer, uint64_t ticks);
uint64_t timerRead(hw_timer_t *timer);
uint64_t timerReadMicros(hw_timer_t *timer);
uint64_t timerReadMilis(hw_timer_t *timer);
double timerReadSeconds(hw_timer_t *timer);
uint32_t timerGetFrequency(hw_timer_t *timer);

// 3.x; reloads 0: without end.
void timerAlarm(hw_timer_t *timer, uint64_t ticks, bool reload, uint64_t reloads);
// 2.x
void timerAlarmWrite(hw_timer_t *timer, uint64_t ticks, bool reload);
void timerAlarmEnable(hw_timer_t *timer);
void timerAlarmDisable(hw_timer_t *timer);
bool timerAlarmEnabled(hw_timer_t *timer);
uint64_t timerAlarmRead(hw_timer_t *timer);

#ifdef __cplusplus
}
#endif
