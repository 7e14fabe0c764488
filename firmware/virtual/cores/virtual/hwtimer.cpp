#include "board.h"
#include "esp32-hal.h"
#include "kernel.h"

struct hw_timer_s {
  Alarm alarm;
  bool taken, runs, armed, reload;
  uint32_t frequency;
  uint64_t since_us, ticks;  // the counter was at ticks, then
  uint64_t at, reloads;
  void (*handler)(void *);
  void *argument;
};

namespace {

hw_timer_s timers[4];

uint64_t count(const hw_timer_s *t) {
  return t->runs ? t->ticks + (board_uptime_us() - t->since_us) * t->frequency / 1000000 : t->ticks;
}

uint64_t ticks_us(const hw_timer_s *t, uint64_t ticks) {
  uint64_t us = ticks * 1000000 / t->frequency;
  return us < 20 ? 20 : us;
}

void arm(hw_timer_s *t) {
  interrupt_alarms.stop(&t->alarm);
  uint64_t now = count(t);
  if (!t->runs || !t->armed || now > t->at) return;
  interrupt_alarms.start(&t->alarm, ticks_us(t, t->at - now), t->reload ? ticks_us(t, t->at) : 0);
}

void expired(void *timer) {
  hw_timer_s *t = static_cast<hw_timer_s *>(timer);
  if (!t->armed) return;
  if (t->reload) {
    t->since_us = board_uptime_us();
    t->ticks = 0;
    if (t->reloads && --t->reloads == 0) {
      t->armed = false;
      interrupt_alarms.stop(&t->alarm);
    }
  } else {
    t->armed = false;
  }
  if (t->handler) t->handler(t->argument);
}

void call_plain(void *handler) { reinterpret_cast<void (*)()>(handler)(); }

hw_timer_s *begin(hw_timer_s *t, uint32_t frequency) {
  if (!t || !frequency || t->taken) return nullptr;
  *t = {};
  t->alarm.run = expired;
  t->alarm.argument = t;
  t->taken = t->runs = true;
  t->frequency = frequency;
  t->since_us = board_uptime_us();
  return t;
}

}  // namespace

hw_timer_t *timerBegin(uint32_t frequency) {
  for (hw_timer_s &t : timers)
    if (!t.taken) return begin(&t, frequency);
  return nullptr;
}

hw_timer_t *timerBegin(uint8_t number, uint16_t divider, bool) {
  return begin(number < 4 ? &timers[number] : nullptr, divider ? 80000000 / divider : 0);
}

void timerAttachInterrupt(hw_timer_t *t, void (*handler)()) {
  timerAttachInterruptArg(t, call_plain, reinterpret_cast<void *>(handler));
}
void timerAttachInterrupt(hw_timer_t *t, void (*handler)(), bool) { timerAttachInterrupt(t, handler); }

extern "C" {

void timerEnd(hw_timer_t *t) {
  interrupt_alarms.stop(&t->alarm);
  t->taken = t->armed = t->runs = false;
}
void timerAttachInterruptArg(hw_timer_t *t, void (*handler)(void *), void *argument) {
  t->argument = argument;
  t->handler = handler;
}
void timerDetachInterrupt(hw_timer_t *t) { t->handler = nullptr; }

void timerStart(hw_timer_t *t) {
  if (t->runs) return;
  t->since_us = board_uptime_us();
  t->runs = true;
  arm(t);
}
void timerStop(hw_timer_t *t) {
  t->ticks = count(t);
  t->runs = false;
  arm(t);
}
void timerWrite(hw_timer_t *t, uint64_t ticks) {
  t->ticks = ticks;
  t->since_us = board_uptime_us();
  arm(t);
}
void timerRestart(hw_timer_t *t) { timerWrite(t, 0); }
uint64_t timerRead(hw_timer_t *t) { return count(t); }
uint64_t timerReadMicros(hw_timer_t *t) { return count(t) * 1000000 / t->frequency; }
uint64_t timerReadMilis(hw_timer_t *t) { return count(t) * 1000 / t->frequency; }
double timerReadSeconds(hw_timer_t *t) { return double(count(t)) / t->frequency; }
uint32_t timerGetFrequency(hw_timer_t *t) { return t->frequency; }

void timerAlarm(hw_timer_t *t, uint64_t ticks, bool reload, uint64_t reloads) {
  t->at = ticks;
  t->reload = reload;
  t->reloads = reloads;
  t->armed = true;
  arm(t);
}
void timerAlarmWrite(hw_timer_t *t, uint64_t ticks, bool reload) {
  t->at = ticks;
  t->reload = reload;
  t->reloads = 0;
  arm(t);
}
void timerAlarmEnable(hw_timer_t *t) {
  t->armed = true;
  arm(t);
}
void timerAlarmDisable(hw_timer_t *t) {
  t->armed = false;
  arm(t);
}
bool timerAlarmEnabled(hw_timer_t *t) { return t->armed; }
uint64_t timerAlarmRead(hw_timer_t *t) { return t->at; }
}
