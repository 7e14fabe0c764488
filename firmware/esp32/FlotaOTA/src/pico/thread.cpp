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
#include <hardware/structs/scb.h>
#include <pico/async_context_threadsafe_background.h>
#include <pico/cyw43_arch.h>
#include <pico/time.h>

namespace flota {

namespace {

constexpr uint32_t kSlice = 1000;    // microseconds for each thread, while both have something to do
constexpr uint32_t kLook = 100;      // until the core is up
constexpr uint32_t kIdle = 20000;    // at most between two looks
constexpr uint32_t kCore1 = 500000;  // since the start: the sketch's second core must be there before flash is written
constexpr uint32_t kStack = 12288;   // bytes
constexpr uint32_t kReturn = 0xFFFFFFFD;  // to a thread on its own stack, without floating-point registers

alignas(8) uint8_t stack[kStack];
void (*thread_body)() = nullptr;
void (*thread_ready)() = nullptr;
void (*tick_watch)() = nullptr;
volatile uint32_t wake = 0;  // microseconds: the thread waits until then
bool ticking = false, up = false;

}  // namespace

}  // namespace flota

extern "C" {

// Thread is what the exchange of the two threads knows. The sketch's is on the main stack, below
// whatever interrupts put there; the agent's is on the process stack.
struct FlotaThread {
  uint32_t *stack;  // of the agent, while it does not run
  volatile uint32_t runs;
};
FlotaThread flota_thread = {};

// PendSV has the lowest priority of all: it is taken where no interrupt is being handled.
void __attribute__((naked)) flota_exchange() {
#if defined(__ARM_ARCH_6M__)
  __asm volatile(
      ".syntax unified\n"
      "ldr r3, =flota_thread\n"
      "mov r2, lr\n"
      "movs r1, #4\n"
      "tst r2, r1\n"
      "bne 1f\n"
      // The sketch ran.
      "push {r2-r7}\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "push {r4-r7}\n"
      "movs r1, #1\n"
      "str r1, [r3, #4]\n"
      "ldr r0, [r3]\n"
      "ldmia r0!, {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "ldmia r0!, {r2, r4-r7}\n"
      "msr psp, r0\n"
      "bx r2\n"
      // The agent did.
      "1:\n"
      "mrs r0, psp\n"
      "subs r0, #36\n"
      "str r0, [r3]\n"
      "movs r1, #0\n"
      "str r1, [r3, #4]\n"
      "mov r1, r0\n"
      "adds r1, #16\n"
      "stmia r1!, {r2, r4-r7}\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "stmia r0!, {r4-r7}\n"
      "pop {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "pop {r2-r7}\n"
      "bx r2\n"
      ".pool\n");
#else
  __asm volatile(
      ".syntax unified\n"
      "ldr r3, =flota_thread\n"
      "tst lr, #4\n"
      "bne 1f\n"
      // The sketch ran.
      "tst lr, #16\n"
      "it eq\n"
      "vpusheq {s16-s31}\n"
      "push {r3-r11, lr}\n"
      "movs r1, #1\n"
      "str r1, [r3, #4]\n"
      "ldr r0, [r3]\n"
      "ldmia r0!, {r4-r11, lr}\n"
      "tst lr, #16\n"
      "it eq\n"
      "vldmiaeq r0!, {s16-s31}\n"
      "msr psp, r0\n"
      "bx lr\n"
      // The agent did.
      "1:\n"
      "mrs r0, psp\n"
      "tst lr, #16\n"
      "it eq\n"
      "vstmdbeq r0!, {s16-s31}\n"
      "stmdb r0!, {r4-r11, lr}\n"
      "str r0, [r3]\n"
      "movs r1, #0\n"
      "str r1, [r3, #4]\n"
      "pop {r3-r11, lr}\n"
      "tst lr, #16\n"
      "it eq\n"
      "vpopeq {s16-s31}\n"
      "bx lr\n"
      ".pool\n");
#endif
}
}

namespace flota {

namespace {

void run() {
  thread_body();
  for (;;) wait(1000);  // it never returns
}

// prepare makes the agent's stack look as if it had just been left.
void prepare() {
  uint32_t *top = reinterpret_cast<uint32_t *>(stack + kStack);
  *--top = 0x01000000;                      // xPSR: Thumb
  *--top = uint32_t(uintptr_t(run)) & ~1u;  // where it begins
  for (int i = 0; i < 6; i++) *--top = 0;   // LR, r12, r3 to r0
#if defined(__ARM_ARCH_6M__)
  for (int i = 0; i < 4; i++) *--top = 0;  // r7 to r4
  *--top = kReturn;
  for (int i = 0; i < 4; i++) *--top = 0;  // r11 to r8
#else
  *--top = kReturn;
  for (int i = 0; i < 8; i++) *--top = 0;  // r11 to r4
  __asm volatile("msr psplim, %0" ::"r"(stack));
#endif
  flota_thread.stack = top;
}

void exchange() {
  scb_hw->icsr = M0PLUS_ICSR_PENDSVSET_BITS;
  __asm volatile("dsb\nisb" ::: "memory");
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
  prepare();
  exception_set_exclusive_handler(PENDSV_EXCEPTION, flota_exchange);
  exception_set_priority(PENDSV_EXCEPTION, PICO_LOWEST_IRQ_PRIORITY);
  thread_body = body;
  start_ticks(nullptr);
}

void wait(uint32_t ms) {
  if (flota_thread.runs == 0) return delay(ms > 0 ? ms : 1);
  uint32_t until = time_us_32() + (ms > 0 ? ms * 1000 : 1);
  wake = until;
  do {
    exchange();
  } while (int32_t(until - time_us_32()) > 0);
}

}  // namespace flota

#endif
