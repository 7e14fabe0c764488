#if defined(ARDUINO_ARCH_RP2040)

#include "thread.h"

#if !defined(PICO_CYW43_SUPPORTED)
#error "FlotaOTA needs a board with Wi-Fi, as Pico W and Pico 2 W."
#elif defined(__FREERTOS)
#error "FlotaOTA does not run beside FreeRTOS yet: choose the operating system None."
#elif !defined(__arm__)
#error "FlotaOTA runs on the ARM cores of an RP2350, not on its RISC-V cores."
#endif

#include <Arduino.h>
#include <hardware/exception.h>
#include <pico/async_context_threadsafe_background.h>
#include <pico/cyw43_arch.h>
#include <pico/time.h>

#include "exchange.h"

namespace flota {

namespace {

constexpr uint32_t kSlice = 1000;    // microseconds for each thread, while both have something to do
constexpr uint32_t kLook = 100;      // until the core is up
constexpr uint32_t kIdle = 20000;    // at most between two looks
constexpr uint32_t kCore1 = 500000;  // since the start: the sketch's second core must be there before flash is written
constexpr uint32_t kStack = 12288;   // bytes

alignas(8) uint8_t stack[kStack];
void (*thread_body)() = nullptr;
void (*thread_ready)() = nullptr;
void (*tick_watch)() = nullptr;
volatile uint32_t wake = 0;  // microseconds: the thread waits until then
bool ticking = false, up = false;

void run() {
  thread_body();
  for (;;) wait(1000);  // it never returns
}

// held tells whether one of the two threads has the lock. An interrupt of the timer may ask: it cannot come
// between the steps by which a mutex is taken.
bool held(async_context_t *context) {
  const recursive_mutex_t &mutex = reinterpret_cast<async_context_threadsafe_background_t *>(context)->lock_mutex;
  return mutex.enter_count > 0 && mutex.owner == lock_get_caller_owner_id();
}

// tick is the timer's interrupt; it returns when to come again, in microseconds.
int64_t tick(alarm_id_t, void *) {
  if (tick_watch != nullptr) tick_watch();
  if (thread_body == nullptr) return -int64_t(kIdle);
  async_context_t *context = cyw43_arch_async_context();
  if (context == nullptr) return -int64_t(kLook);  // main has not come so far
  if (!up) {
    up = true;
    if (thread_ready != nullptr) thread_ready();
    if (time_us_32() < kCore1) wake = kCore1;
  }
  uint32_t now = time_us_32();
  int32_t left = int32_t(wake - now);
  if (flota_thread.runs == 0 && left > 0) return -int64_t(uint32_t(left) < kIdle ? uint32_t(left) : kIdle);
  if (!held(context)) exchange();
  return -int64_t(kSlice);
}

}  // namespace

Lock::Lock() : context_(cyw43_arch_async_context()) {
  if (context_ != nullptr) async_context_acquire_lock_blocking(static_cast<async_context_t *>(context_));
}

Lock::~Lock() {
  if (context_ != nullptr) async_context_release_lock(static_cast<async_context_t *>(context_));
}

void start_ticks(void (*watch)()) {
  if (watch != nullptr) tick_watch = watch;
  if (ticking) return;
  ticking = true;
  add_alarm_in_us(kLook, tick, nullptr, true);
}

void start_thread(void (*body)(), void (*ready)()) {
  thread_ready = ready;
  prepare_stack(stack, kStack, run);
  exception_set_exclusive_handler(PENDSV_EXCEPTION, flota_exchange);
  exception_set_priority(PENDSV_EXCEPTION, PICO_LOWEST_IRQ_PRIORITY);
  thread_body = body;
  start_ticks(nullptr);
}

void wait(uint32_t ms) {
  if (get_core_num() != 0 || flota_thread.runs == 0) return delay(ms > 0 ? ms : 1);
  uint32_t until = time_us_32() + (ms > 0 ? ms * 1000 : 1);
  wake = until;
  do {
    exchange();
  } while (int32_t(until - time_us_32()) > 0);
}

}  // namespace flota

#endif
