#include <stdlib.h>
#include <time.h>

#include "board.h"
#include "esp_timer.h"
#include "freertos/timers.h"
#include "kernel.h"

Alarms timer_alarms("esp_timer", false);
Alarms interrupt_alarms("interrupts", true);

namespace {

class Lock {
 public:
  explicit Lock(pthread_mutex_t &mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Lock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t &mutex_;
};

// When a wait ends, by the clock that never goes back.
timespec in_us(uint64_t us) {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += us / 1000000;
  t.tv_nsec += us % 1000000 * 1000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  return t;
}

}  // namespace

void Alarms::insert(Alarm *alarm) {
  Alarm **at = &first_;
  while (*at && (*at)->at_us <= alarm->at_us) at = &(*at)->next;
  alarm->next = *at;
  *at = alarm;
  alarm->set = true;
}

void Alarms::remove(Alarm *alarm) {
  for (Alarm **at = &first_; *at; at = &(*at)->next)
    if (*at == alarm) {
      *at = alarm->next;
      break;
    }
  alarm->set = false;
}

void Alarms::start(Alarm *alarm, uint64_t delay_us, uint64_t period_us) {
  Lock lock(lock_);
  if (!started_) {
    started_ = true;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed_, &attributes);
    pthread_t made;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&made, &small, thread, this) != 0) abort();
  }
  remove(alarm);
  alarm->at_us = board_uptime_us() + delay_us;
  alarm->period_us = period_us;
  insert(alarm);
  if (first_ == alarm) pthread_cond_signal(&changed_);
}

void Alarms::stop(Alarm *alarm) {
  Lock lock(lock_);
  remove(alarm);
}

void Alarms::release(Alarm *alarm) {
  Lock lock(lock_);
  remove(alarm);
  if (running_ == alarm) {
    release_ = true;
  } else {
    free(alarm);
  }
}

bool Alarms::active(Alarm *alarm) {
  Lock lock(lock_);
  return alarm->set;
}

void *Alarms::thread(void *self) {
  Alarms &a = *static_cast<Alarms *>(self);
  task_begin(a.name_, 0);
  Lock lock(a.lock_);
  for (;;) {
    uint64_t now = board_uptime_us();
    Alarm *next = a.first_;
    if (!next) {
      pthread_cond_wait(&a.changed_, &a.lock_);
    } else if (next->at_us > now) {
      timespec until = in_us(next->at_us - now);
      pthread_cond_timedwait(&a.changed_, &a.lock_, &until);
    } else {
      a.remove(next);
      if (next->period_us) {
        // What is late by more than one period has missed some, and catches up with none.
        next->at_us += next->period_us;
        if (next->at_us + next->period_us < now) next->at_us = now + next->period_us;
        a.insert(next);
      }
      a.running_ = next;
      pthread_mutex_unlock(&a.lock_);
      if (a.interrupt_) interrupt_begin();
      next->run(next->argument);
      if (a.interrupt_) interrupt_end();
      pthread_mutex_lock(&a.lock_);
      a.running_ = nullptr;
      if (a.release_) {
        a.release_ = false;
        free(next);
      }
    }
  }
}

// --- esp_timer

struct esp_timer {
  Alarm alarm;  // first: released with the whole
  bool interrupt;
};

static Alarms &alarms(esp_timer *t) { return t->interrupt ? interrupt_alarms : timer_alarms; }

esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *timer) {
  if (!args || !args->callback || !timer) return ESP_ERR_INVALID_ARG;
  esp_timer *t = static_cast<esp_timer *>(calloc(1, sizeof(esp_timer)));
  if (!t) return ESP_ERR_NO_MEM;
  t->alarm.run = args->callback;
  t->alarm.argument = args->arg;
  t->interrupt = args->dispatch_method == ESP_TIMER_ISR;
  *timer = t;
  return ESP_OK;
}

static esp_err_t begin(esp_timer *t, uint64_t us, uint64_t period) {
  if (!t) return ESP_ERR_INVALID_ARG;
  if (alarms(t).active(&t->alarm)) return ESP_ERR_INVALID_STATE;
  alarms(t).start(&t->alarm, us, period);
  return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t t, uint64_t us) { return begin(t, us, 0); }
esp_err_t esp_timer_start_periodic(esp_timer_handle_t t, uint64_t us) {
  return us < 50 ? ESP_ERR_INVALID_ARG : begin(t, us, us);
}
esp_err_t esp_timer_stop(esp_timer_handle_t t) {
  if (!t || !alarms(t).active(&t->alarm)) return ESP_ERR_INVALID_STATE;
  alarms(t).stop(&t->alarm);
  return ESP_OK;
}
esp_err_t esp_timer_delete(esp_timer_handle_t t) {
  if (!t) return ESP_ERR_INVALID_ARG;
  alarms(t).release(&t->alarm);
  return ESP_OK;
}
bool esp_timer_is_active(esp_timer_handle_t t) { return t && alarms(t).active(&t->alarm); }
int64_t esp_timer_get_time() { return board_uptime_us(); }

// --- FreeRTOS' timers

struct Timer {
  Alarm alarm;  // first: released with the whole
  char name[16];
  TickType_t period;
  bool reload;
  void *id;
  TimerCallbackFunction_t callback;
};

static Alarms timer_task("Tmr Svc", false);

static void expired(void *timer) { static_cast<Timer *>(timer)->callback(static_cast<Timer *>(timer)); }

TimerHandle_t xTimerCreate(const char *name, TickType_t period, UBaseType_t reload, void *id,
                           TimerCallbackFunction_t callback) {
  Timer *t = period && callback ? static_cast<Timer *>(calloc(1, sizeof(Timer))) : nullptr;
  if (!t) return nullptr;
  t->alarm.run = expired;
  t->alarm.argument = t;
  for (size_t i = 0; name && name[i] && i + 1 < sizeof t->name; i++) t->name[i] = name[i];
  t->period = period;
  t->reload = reload;
  t->id = id;
  t->callback = callback;
  return t;
}

BaseType_t xTimerStart(TimerHandle_t t, TickType_t) {
  uint64_t us = uint64_t(t->period) * 1000;
  timer_task.start(&t->alarm, us, t->reload ? us : 0);
  return pdPASS;
}
BaseType_t xTimerStop(TimerHandle_t t, TickType_t) { return timer_task.stop(&t->alarm), pdPASS; }
BaseType_t xTimerChangePeriod(TimerHandle_t t, TickType_t period, TickType_t ticks) {
  if (!period) return pdFAIL;
  t->period = period;
  return xTimerStart(t, ticks);
}
BaseType_t xTimerDelete(TimerHandle_t t, TickType_t) { return timer_task.release(&t->alarm), pdPASS; }
BaseType_t xTimerIsTimerActive(TimerHandle_t t) { return timer_task.active(&t->alarm); }
TickType_t xTimerGetPeriod(TimerHandle_t t) { return t->period; }
void *pvTimerGetTimerID(TimerHandle_t t) { return t->id; }
void vTimerSetTimerID(TimerHandle_t t, void *id) { t->id = id; }
const char *pcTimerGetName(TimerHandle_t t) { return t->name; }
