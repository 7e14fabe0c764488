// What the core's own files know of each other.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

// --- heap.cpp
void heap_begin();            // what was taken before main does not count
bool heap_take(size_t size);  // for what is not malloc's: stacks
void heap_give(size_t size);
size_t heap_size();   // 320 KiB less the program's variables
size_t heap_least();  // the least that was ever free
extern "C" uint32_t heap_free();
// Memory that is the machine's and not the board's, of the calling thread: not counted.
extern "C" void heap_outside(bool on);

// --- freertos.cpp
// Interrupt handlers run between these.
void interrupt_begin();
void interrupt_end();
// The thread that calls is a task from now on: the sketch's own.
void task_begin(const char *name, int core);
const char *task_name();
int task_core();
bool task_stack_near(const void *address);

// --- alarm.cpp: callbacks at their time, in one thread for each list.
struct Alarm {
  void (*run)(void *);
  void *argument;
  uint64_t at_us, period_us;  // period 0: once
  Alarm *next;
  bool set;
};

class Alarms {
 public:
  constexpr Alarms(const char *name, bool interrupt) : name_(name), interrupt_(interrupt) {}
  void start(Alarm *alarm, uint64_t delay_us, uint64_t period_us);
  void stop(Alarm *alarm);
  // Stops it and calls free(alarm), when it does not run any more.
  void release(Alarm *alarm);
  bool active(Alarm *alarm);

 private:
  static void *thread(void *self);
  void insert(Alarm *alarm);
  void remove(Alarm *alarm);
  const char *name_;
  bool interrupt_;  // its callbacks are interrupt handlers
  bool started_ = false, release_ = false;
  Alarm *first_ = nullptr, *running_ = nullptr;
  pthread_mutex_t lock_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
};

extern Alarms timer_alarms;      // esp_timer, Ticker
extern Alarms interrupt_alarms;  // hardware timers

// --- main.cpp
[[noreturn]] void panic(const char *reason);
void panic_on_this_stack();  // catches signals of this thread, on a stack of their own
