// The exchange of two threads, on the chips' own instructions: both count, with every register in use, while a
// timer exchanges them at any place, and another interrupt comes between. Linked without a library, run by QEMU.
#include "pico/exchange.h"

namespace {

constexpr uint32_t kRounds = 400;  // exchanges by the timer

alignas(8) uint8_t stack[4096];
volatile uint32_t ticks, others, agent_rounds, sketch_rounds, wrong;
volatile bool waits;

volatile uint32_t &at(uint32_t address) { return *reinterpret_cast<volatile uint32_t *>(address); }

void semihosting(uint32_t what, const void *argument) {
  register uint32_t r0 __asm("r0") = what;
  register const void *r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void say(const char *text) { semihosting(4, text); }

void number(uint32_t n) {
  char text[12];
  char *p = text + 11;
  *p = 0;
  do *--p = char('0' + n % 10);
  while ((n /= 10) > 0);
  say(p);
}

[[noreturn]] void end(bool good) {
  const uint32_t reason[2] = {0x20026, good ? 0u : 1u};  // ADP_Stopped_ApplicationExit
  semihosting(0x20, reason);
  for (;;) {
  }
}

// churn fills all registers with values made of seed, lets time pass, and tells whether they are still there.
__attribute__((noinline)) uint32_t churn(uint32_t seed) {
  uint32_t sum;
#if defined(__ARM_ARCH_8M_MAIN__)
  __asm volatile("vmov s0, %0\nvmov s15, %0\nvmov s16, %0\nvmov s31, %0" ::"r"(seed) : "s0", "s15", "s16", "s31");
#endif
  __asm volatile(
      ".syntax unified\n"
      "mov r8, %1\n"
      "mov r9, %1\n"
      "mov r10, %1\n"
      "mov r11, %1\n"
      "mov r12, %1\n"
      "movs r4, %1\n"
      "movs r5, %1\n"
      "movs r6, %1\n"
      "movs r2, #100\n"
      "1: subs r2, #1\n"
      "bne 1b\n"
      "movs r2, r4\n"
      "adds r2, r5\n"
      "adds r2, r6\n"
      "add r2, r8\n"
      "add r2, r9\n"
      "add r2, r10\n"
      "add r2, r11\n"
      "add r2, r12\n"
      "mov %0, r2\n"
      : "=r"(sum)
      : "r"(seed)
      : "r2", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc");
#if defined(__ARM_ARCH_8M_MAIN__)
  uint32_t a, b, c, d;
  __asm volatile("vmov %0, s0\nvmov %1, s15\nvmov %2, s16\nvmov %3, s31" : "=r"(a), "=r"(b), "=r"(c), "=r"(d));
  if (a != seed || b != seed || c != seed || d != seed) return ~(8 * seed);
#endif
  return sum;
}

void check(uint32_t seed) {
  if (churn(seed) != 8 * seed) wrong = wrong + 1;
}

// Deep enough that a stack that is not its own would be noticed.
uint32_t deep(uint32_t n, uint32_t seed) {
  volatile uint32_t mine[4] = {n, seed, n ^ seed, n + seed};
  uint32_t below = n > 0 ? deep(n - 1, seed) : 0;
  check(seed + n);
  if (mine[0] != n || mine[1] != seed || mine[2] != (n ^ seed) || mine[3] != n + seed) wrong = wrong + 1;
  return below + 1;
}

void agent() {
  for (;;) {
    if (deep(8, 0x01000000 + agent_rounds) != 9) wrong = wrong + 1;
    agent_rounds = agent_rounds + 1;
    if (agent_rounds % 7 == 0) flota::exchange();  // it has nothing to do
  }
}

void systick() {
  ticks = ticks + 1;
  if (ticks % 3 == 0) at(0xE000E200) = 1;  // pends interrupt 0, which is more urgent than PendSV
  flota::exchange();
}

// It uses floating point where there is any.
void interrupt() {
  others = others + 1;
  check(0x00ABCDEF);
}

[[noreturn]] void start() {
#if defined(__ARM_ARCH_8M_MAIN__)
  at(0xE000ED88) |= 0xF << 20;  // CPACR: floating point
#endif
  flota::prepare_stack(stack, sizeof stack, agent);
  at(0xE000ED20) = 0x40FF0000;  // SHPR3: SysTick before PendSV
  at(0xE000E400) = 0x80;        // interrupt 0 in between
  at(0xE000E100) = 1;           // enabled
  at(0xE000E014) = 2999;        // SysTick: an odd time for what the threads do
  at(0xE000E018) = 0;
  at(0xE000E010) = 7;
  while (ticks < kRounds) {
    if (deep(5, 0x02000000 + sketch_rounds) != 6) wrong = wrong + 1;
    sketch_rounds = sketch_rounds + 1;
  }
  at(0xE000E010) = 0;
  number(ticks);
  say(" exchanges by the timer, ");
  number(others);
  say(" interrupts between, rounds: ");
  number(sketch_rounds);
  say(" and ");
  number(agent_rounds);
  say(", wrong: ");
  number(wrong);
  say("\n");
  end(wrong == 0 && agent_rounds > 20 && sketch_rounds > 20 && others > 20);
}

[[noreturn]] void fault() {
  say("a fault\n");
  end(false);
}

}  // namespace

extern "C" {
extern uint32_t stack_top;
extern void (*const vectors[])();
__attribute__((section(".vectors"), used)) void (*const vectors[])() = {reinterpret_cast<void (*)()>(&stack_top),
                                                                        start,
                                                                        fault,
                                                                        fault,
                                                                        fault,
                                                                        fault,
                                                                        fault,
                                                                        fault,
                                                                        nullptr,
                                                                        nullptr,
                                                                        nullptr,
                                                                        fault,
                                                                        fault,
                                                                        nullptr,
                                                                        flota_exchange,
                                                                        systick,
                                                                        interrupt};
}
