#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_MAIN__)

#include "exchange.h"

namespace {

constexpr uint32_t kReturn = 0xFFFFFFFD;  // to a thread on its own stack, without floating-point registers

}  // namespace

extern "C" {

FlotaThread flota_thread = {};

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

void prepare_stack(uint8_t *stack, uint32_t size, void (*body)()) {
  uint32_t *top = reinterpret_cast<uint32_t *>(stack + size);
  *--top = 0x01000000;                       // xPSR: Thumb
  *--top = uint32_t(uintptr_t(body)) & ~1u;  // where it begins
  for (int i = 0; i < 6; i++) *--top = 0;    // LR, r12, r3 to r0
#if defined(__ARM_ARCH_6M__)
  for (int i = 0; i < 4; i++) *--top = 0;  // r7 to r4
  *--top = kReturn;
  for (int i = 0; i < 4; i++) *--top = 0;  // r11 to r8
#else
  *--top = kReturn;
  for (int i = 0; i < 8; i++) *--top = 0;         // r11 to r4
  __asm volatile("msr psplim, %0" ::"r"(stack));  // beyond it is a fault
#endif
  flota_thread.stack = top;
}

void exchange() {
  *reinterpret_cast<volatile uint32_t *>(0xE000ED04) = 1u << 28;  // ICSR, PENDSVSET
  __asm volatile("dsb\nisb" ::: "memory");
}

}  // namespace flota

#endif
