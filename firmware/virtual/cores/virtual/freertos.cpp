#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "Arduino.h"
#include "board.h"
#include "freertos/timers.h"
#include "kernel.h"

struct Task {
  Task *next;
  pthread_cond_t woken;      // notified, resumed or deleted
  pthread_cond_t *waits_on;  // while it waits
  char name[configMAX_TASK_NAME_LEN];
  UBaseType_t priority;
  BaseType_t core;
  uint32_t stack;
  char *stack_low;
  TaskFunction_t function;
  void *argument;
  jmp_buf end;
  bool own_thread;  // made here: its thread ends with it
  bool suspended, deleted, notified;
  uint32_t notification;
  // While it waits for bits of a group, and what it saw when they were there.
  EventGroup *group;
  EventBits_t bits, seen;
  bool all, clear;
};

namespace {

// One lock for everything that FreeRTOS knows of.
pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t critical = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
Task *tasks = nullptr;
thread_local Task *self = nullptr;
thread_local int in_interrupt = 0;
thread_local unsigned critical_depth = 0;

struct Lock {
  Lock() { pthread_mutex_lock(&kernel); }
  ~Lock() { pthread_mutex_unlock(&kernel); }
};

void init_condition(pthread_cond_t *c) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(c, &attributes);
}

Task *new_task(const char *name, int core) {
  Task *t = static_cast<Task *>(calloc(1, sizeof(Task)));
  if (!t) return nullptr;
  init_condition(&t->woken);
  if (name) strncpy(t->name, name, sizeof t->name - 1);
  t->priority = 1;
  t->core = core;
  return t;
}

void enlist(Task *t) {
  t->next = tasks;
  tasks = t;
}

// The calling thread's task; a thread that nobody made one of becomes one.
Task &me() {
  if (!self) task_begin("thread", 0);
  return *self;
}

bool known(const Task *task) {
  for (const Task *t = tasks; t; t = t->next)
    if (t == task) return true;
  return false;
}

// Ends the calling task; the caller holds the kernel.
[[noreturn]] void end_self() {
  for (Task **at = &tasks; *at; at = &(*at)->next)
    if (*at == self) {
      *at = self->next;
      break;
    }
  pthread_mutex_unlock(&kernel);
  while (critical_depth) vPortExitCritical();
  if (self->own_thread) longjmp(self->end, 1);
  for (;;) pause();
}

// Heeds what others want of this task; the caller holds the kernel.
void heed() {
  while (self->suspended && !self->deleted) pthread_cond_wait(&self->woken, &kernel);
  if (self->deleted) end_self();
}

struct Deadline {
  bool forever;
  timespec at;
  explicit Deadline(TickType_t ticks) : forever(ticks == portMAX_DELAY) {
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ticks / 1000;
    at.tv_nsec += ticks % 1000 * 1000000L;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
  }
};

// Waits for a signal; false when the time is over. The caller holds the kernel.
bool wait(pthread_cond_t &c, const Deadline &until) {
  self->waits_on = &c;
  int failed = until.forever ? pthread_cond_wait(&c, &kernel) : pthread_cond_timedwait(&c, &kernel, &until.at);
  self->waits_on = nullptr;
  heed();
  return failed == 0;
}

// Waits until ready() or the time is over; says whether it is ready.
template <typename Ready>
bool wait_for(pthread_cond_t &c, TickType_t ticks, Ready ready) {
  if (ready()) return true;
  if (ticks == 0 || in_interrupt) return false;
  me();
  Deadline until(ticks);
  while (!ready())
    if (!wait(c, until)) return ready();
  return true;
}

void *run(void *task) {
  self = static_cast<Task *>(task);
  pthread_setname_np(pthread_self(), self->name);
  panic_on_this_stack();
  if (setjmp(self->end) == 0) {
    {
      Lock lock;  // until its maker has its handle
      heed();
    }
    self->function(self->argument);
    char reason[96];
    snprintf(reason, sizeof reason, "FreeRTOS Task \"%s\" should not return, Aborting now!", self->name);
    panic(reason);
  }
  Task *t = self;
  self = nullptr;
  heap_give(t->stack);
  pthread_cond_destroy(&t->woken);
  free(t);
  return nullptr;
}

}  // namespace

void task_begin(const char *name, int core) {
  heap_outside(true);
  self = new_task(name, core);
  heap_outside(false);
  if (!self) abort();
  panic_on_this_stack();
  pthread_attr_t attributes;
  size_t size;
  void *low = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) pthread_attr_getstack(&attributes, &low, &size);
  self->stack_low = static_cast<char *>(low);
  self->stack = 8192;
  Lock lock;
  enlist(self);
}

const char *task_name() { return self ? self->name : "main"; }
int task_core() { return self && self->core != tskNO_AFFINITY ? self->core : 0; }

// The pages around the end of a stack are where too deep a recursion ends.
bool task_stack_near(const void *address) {
  const char *at = static_cast<const char *>(address);
  return self && self->stack_low && at >= self->stack_low - (64 << 10) && at < self->stack_low + (64 << 10);
}

void interrupt_begin() {
  vPortEnterCritical();
  in_interrupt++;
}
void interrupt_end() {
  in_interrupt--;
  vPortExitCritical();
}

extern "C" {

void vPortEnterCritical() {
  pthread_mutex_lock(&critical);
  critical_depth++;
}
void vPortExitCritical() {
  if (critical_depth == 0) return;
  critical_depth--;
  pthread_mutex_unlock(&critical);
}
void noInterrupts() { vPortEnterCritical(); }
void interrupts() {
  while (critical_depth) vPortExitCritical();
}

BaseType_t xPortInIsrContext() { return in_interrupt != 0; }
BaseType_t xPortGetCoreID() { return task_core(); }

// --- Tasks

BaseType_t xTaskCreatePinnedToCore(TaskFunction_t function, const char *name, uint32_t stack, void *argument,
                                   UBaseType_t priority, TaskHandle_t *handle, BaseType_t core) {
  if (handle) *handle = nullptr;
  if (!function || !heap_take(stack)) return errCOULD_NOT_ALLOCATE_REQUIRED_MEMORY;
  Task *t = new_task(name, core);
  if (!t) {
    heap_give(stack);
    return errCOULD_NOT_ALLOCATE_REQUIRED_MEMORY;
  }
  t->priority = priority;
  t->stack = stack;
  t->function = function;
  t->argument = argument;
  t->own_thread = true;

  size_t real = (size_t(stack) * 4 + (128 << 10)) & ~size_t(4095);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, real);
  pthread_t thread;
  Lock lock;
  if (pthread_create(&thread, &attributes, run, t) != 0) {
    heap_give(stack);
    free(t);
    return errCOULD_NOT_ALLOCATE_REQUIRED_MEMORY;
  }
  pthread_attr_t made;
  size_t size;
  void *low = nullptr;
  if (pthread_getattr_np(thread, &made) == 0) {
    pthread_attr_getstack(&made, &low, &size);
    pthread_attr_destroy(&made);
  }
  t->stack_low = static_cast<char *>(low);
  enlist(t);
  if (handle) *handle = t;
  return pdPASS;
}

BaseType_t xTaskCreate(TaskFunction_t function, const char *name, uint32_t stack, void *argument, UBaseType_t priority,
                       TaskHandle_t *task) {
  return xTaskCreatePinnedToCore(function, name, stack, argument, priority, task, tskNO_AFFINITY);
}

void vTaskDelete(TaskHandle_t task) {
  Task &caller = me();
  Lock lock;
  if (!task || task == &caller) end_self();
  if (!known(task)) return;
  task->deleted = true;
  pthread_cond_broadcast(&task->woken);
  if (task->waits_on) pthread_cond_broadcast(task->waits_on);
}

void vTaskSuspend(TaskHandle_t task) {
  Task &caller = me();
  Lock lock;
  if (!task) task = &caller;
  if (!known(task)) return;
  task->suspended = true;
  if (task == &caller) {
    heed();
  } else if (task->waits_on) {
    pthread_cond_broadcast(task->waits_on);
  }
}

void vTaskResume(TaskHandle_t task) {
  Lock lock;
  if (!known(task)) return;
  task->suspended = false;
  pthread_cond_broadcast(&task->woken);
}

BaseType_t xTaskResumeFromISR(TaskHandle_t task) { return vTaskResume(task), pdFALSE; }

void vTaskDelay(TickType_t ticks) {
  Task &caller = me();
  Deadline until(ticks);
  Lock lock;
  heed();
  while (wait(caller.woken, until)) {
  }
}

void vTaskYield() {
  if (self && (self->deleted || self->suspended)) {
    Lock lock;
    heed();
  }
  sched_yield();
}

TickType_t xTaskGetTickCount() { return TickType_t(board_uptime_us() / 1000); }
TickType_t xTaskGetTickCountFromISR() { return xTaskGetTickCount(); }

BaseType_t xTaskDelayUntil(TickType_t *last, TickType_t period) {
  TickType_t next = *last + period, now = xTaskGetTickCount();
  *last = next;
  if (int32_t(next - now) <= 0) return pdFALSE;
  vTaskDelay(next - now);
  return pdTRUE;
}
void vTaskDelayUntil(TickType_t *last, TickType_t period) { xTaskDelayUntil(last, period); }

TaskHandle_t xTaskGetCurrentTaskHandle() { return &me(); }

TaskHandle_t xTaskGetHandle(const char *name) {
  Lock lock;
  for (Task *t = tasks; t; t = t->next)
    if (strcmp(t->name, name) == 0) return t;
  return nullptr;
}

char *pcTaskGetName(TaskHandle_t task) { return (task ? task : &me())->name; }
UBaseType_t uxTaskPriorityGet(TaskHandle_t task) { return (task ? task : &me())->priority; }
void vTaskPrioritySet(TaskHandle_t task, UBaseType_t priority) { (task ? task : &me())->priority = priority; }
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task) { return (task ? task : &me())->stack / 2; }
BaseType_t xTaskGetAffinity(TaskHandle_t task) { return (task ? task : &me())->core; }

UBaseType_t uxTaskGetNumberOfTasks() {
  Lock lock;
  UBaseType_t n = 0;
  for (Task *t = tasks; t; t = t->next) n++;
  return n;
}

eTaskState eTaskGetState(TaskHandle_t task) {
  Lock lock;
  if (task == self) return eRunning;
  if (!known(task)) return eDeleted;
  return task->deleted ? eDeleted : task->suspended ? eSuspended : task->waits_on ? eBlocked : eReady;
}

void vTaskSuspendAll() { vPortEnterCritical(); }
BaseType_t xTaskResumeAll() { return vPortExitCritical(), pdFALSE; }

// --- Notifications

BaseType_t xTaskGenericNotify(TaskHandle_t task, uint32_t value, eNotifyAction action, uint32_t *previous) {
  Lock lock;
  if (!known(task)) return pdFAIL;
  if (previous) *previous = task->notification;
  bool pending = task->notified;
  switch (action) {
    case eNoAction:
      break;
    case eSetBits:
      task->notification |= value;
      break;
    case eIncrement:
      task->notification++;
      break;
    case eSetValueWithoutOverwrite:
      if (pending) return pdFAIL;
      task->notification = value;
      break;
    case eSetValueWithOverwrite:
      task->notification = value;
  }
  task->notified = true;
  pthread_cond_broadcast(&task->woken);
  return pdPASS;
}

BaseType_t xTaskNotifyWait(uint32_t clearBefore, uint32_t clearAfter, uint32_t *value, TickType_t ticks) {
  Task &t = me();
  Lock lock;
  if (!t.notified) t.notification &= ~clearBefore;
  bool came = wait_for(t.woken, ticks, [&] { return t.notified; });
  if (value) *value = t.notification;
  if (came) t.notification &= ~clearAfter;
  t.notified = false;
  return came;
}

uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks) {
  Task &t = me();
  Lock lock;
  wait_for(t.woken, ticks, [&] { return t.notification != 0; });
  uint32_t value = t.notification;
  if (value) t.notification = clear ? 0 : value - 1;
  t.notified = false;
  return value;
}

BaseType_t xTaskNotifyStateClear(TaskHandle_t task) {
  Task &t = task ? *task : me();
  Lock lock;
  bool was = t.notified;
  t.notified = false;
  return was;
}

uint32_t ulTaskNotifyValueClear(TaskHandle_t task, uint32_t bits) {
  Task &t = task ? *task : me();
  Lock lock;
  uint32_t value = t.notification;
  t.notification &= ~bits;
  return value;
}
}  // extern "C"

// --- Queues and semaphores

struct Queue {
  pthread_cond_t changed;
  UBaseType_t length, size, count, first;
  bool mutex, recursive;
  Task *holder;
  UBaseType_t held;  // how often its holder has it
  uint8_t *items;
};

static Queue *new_queue(UBaseType_t length, UBaseType_t size, UBaseType_t count) {
  if (length == 0 || (size && length > 0x7fffffff / size)) return nullptr;
  Queue *q = static_cast<Queue *>(calloc(1, sizeof(Queue) + size_t(length) * size));
  if (!q) return nullptr;
  init_condition(&q->changed);
  q->length = length;
  q->size = size;
  q->count = count;
  q->items = reinterpret_cast<uint8_t *>(q + 1);
  return q;
}

static BaseType_t send(Queue *q, const void *item, TickType_t ticks, bool front) {
  Lock lock;
  if (!wait_for(q->changed, ticks, [&] { return q->count < q->length; })) return errQUEUE_FULL;
  if (front) q->first = (q->first + q->length - 1) % q->length;
  UBaseType_t at = front ? q->first : (q->first + q->count) % q->length;
  if (q->size) memcpy(q->items + size_t(at) * q->size, item, q->size);
  q->count++;
  pthread_cond_broadcast(&q->changed);
  return pdTRUE;
}

static BaseType_t receive(Queue *q, void *item, TickType_t ticks, bool keep) {
  Lock lock;
  if (!wait_for(q->changed, ticks, [&] { return q->count > 0; })) return errQUEUE_EMPTY;
  if (q->size) memcpy(item, q->items + size_t(q->first) * q->size, q->size);
  if (keep) return pdTRUE;
  q->first = (q->first + 1) % q->length;
  q->count--;
  pthread_cond_broadcast(&q->changed);
  return pdTRUE;
}

extern "C" {

QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t size) { return new_queue(length, size, 0); }
void vQueueDelete(QueueHandle_t q) {
  if (!q) return;
  pthread_cond_destroy(&q->changed);
  free(q);
}
BaseType_t xQueueReset(QueueHandle_t q) {
  Lock lock;
  q->count = q->first = 0;
  pthread_cond_broadcast(&q->changed);
  return pdPASS;
}
BaseType_t xQueueSendToBack(QueueHandle_t q, const void *item, TickType_t ticks) { return send(q, item, ticks, false); }
BaseType_t xQueueSendToFront(QueueHandle_t q, const void *item, TickType_t ticks) { return send(q, item, ticks, true); }
BaseType_t xQueueOverwrite(QueueHandle_t q, const void *item) {
  {
    Lock lock;
    q->count = 0;
  }
  return send(q, item, 0, false);
}
BaseType_t xQueueReceive(QueueHandle_t q, void *item, TickType_t ticks) { return receive(q, item, ticks, false); }
BaseType_t xQueuePeek(QueueHandle_t q, void *item, TickType_t ticks) { return receive(q, item, ticks, true); }
UBaseType_t uxQueueMessagesWaiting(QueueHandle_t q) {
  Lock lock;
  return q->count;
}
UBaseType_t uxQueueSpacesAvailable(QueueHandle_t q) {
  Lock lock;
  return q->length - q->count;
}

SemaphoreHandle_t xSemaphoreCreateCounting(UBaseType_t most, UBaseType_t initially) {
  return initially <= most ? new_queue(most, 0, initially) : nullptr;
}
SemaphoreHandle_t xSemaphoreCreateMutex() {
  Queue *q = new_queue(1, 0, 1);
  if (q) q->mutex = true;
  return q;
}
SemaphoreHandle_t xSemaphoreCreateRecursiveMutex() {
  Queue *q = xSemaphoreCreateMutex();
  if (q) q->recursive = true;
  return q;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t s, TickType_t ticks) {
  if (!s->mutex) return receive(s, nullptr, ticks, false);
  Task &t = me();
  Lock lock;
  if (s->recursive && s->holder == &t) return s->held++, pdTRUE;
  if (!wait_for(s->changed, ticks, [&] { return s->count > 0; })) return pdFALSE;
  s->count = 0;
  s->holder = &t;
  s->held = 1;
  return pdTRUE;
}

BaseType_t xSemaphoreGive(SemaphoreHandle_t s) {
  if (!s->mutex) return send(s, nullptr, 0, false);
  Task &t = me();
  Lock lock;
  if (s->holder != &t) return pdFALSE;
  if (--s->held) return pdTRUE;
  s->holder = nullptr;
  s->count = 1;
  pthread_cond_broadcast(&s->changed);
  return pdTRUE;
}

TaskHandle_t xSemaphoreGetMutexHolder(SemaphoreHandle_t s) {
  Lock lock;
  return s->holder;
}
}

// --- Event groups

struct EventGroup {
  EventBits_t bits;
};

static bool there(const Task &t, EventBits_t bits) { return t.all ? (bits & t.bits) == t.bits : (bits & t.bits) != 0; }

// Everybody who waits for what is there now gets it, before anything is cleared.
static void set_bits(EventGroup *g, EventBits_t bits) {
  g->bits |= bits;
  EventBits_t cleared = 0;
  for (Task *t = tasks; t; t = t->next) {
    if (t->group != g || !there(*t, g->bits)) continue;
    t->group = nullptr;
    t->seen = g->bits;
    if (t->clear) cleared |= t->bits;
    pthread_cond_broadcast(&t->woken);
  }
  g->bits &= ~cleared;
}

static EventBits_t wait_bits(EventGroup *g, Task &t, EventBits_t bits, bool clear, bool all, TickType_t ticks) {
  t.bits = bits, t.clear = clear, t.all = all;
  EventBits_t seen = g->bits;
  if (there(t, seen)) {
    if (clear) g->bits &= ~bits;
    return seen;
  }
  t.group = g;
  bool came = wait_for(t.woken, ticks, [&] { return t.group == nullptr; });
  t.group = nullptr;
  return came ? t.seen : g->bits;
}

extern "C" {
EventGroupHandle_t xEventGroupCreate() { return static_cast<EventGroup *>(calloc(1, sizeof(EventGroup))); }
void vEventGroupDelete(EventGroupHandle_t g) { free(g); }
EventBits_t xEventGroupSetBits(EventGroupHandle_t g, EventBits_t bits) {
  Lock lock;
  set_bits(g, bits);
  return g->bits;
}
EventBits_t xEventGroupClearBits(EventGroupHandle_t g, EventBits_t bits) {
  Lock lock;
  EventBits_t before = g->bits;
  g->bits &= ~bits;
  return before;
}
EventBits_t xEventGroupWaitBits(EventGroupHandle_t g, EventBits_t bits, BaseType_t clear, BaseType_t all,
                                TickType_t ticks) {
  Task &t = me();
  Lock lock;
  return wait_bits(g, t, bits, clear, all, ticks);
}
EventBits_t xEventGroupSync(EventGroupHandle_t g, EventBits_t set, EventBits_t wait, TickType_t ticks) {
  Task &t = me();
  Lock lock;
  set_bits(g, set);
  return wait_bits(g, t, wait, true, true, ticks);
}
}
