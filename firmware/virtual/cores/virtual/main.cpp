#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <exception>

#include "Arduino.h"
#include "board.h"
#include "esp_ota_ops.h"
#include "kernel.h"

__attribute__((weak)) bool verifyRollbackLater() { return false; }
__attribute__((weak)) bool verifyOta() { return true; }
__attribute__((weak)) void initVariant() {}
// Called when there is something to read, after each loop().
__attribute__((weak)) void serialEvent() {}

// --- Panics: said on descriptor 2, where a chip's ROM speaks. Nothing here allocates.

namespace {

void say(const char *text) {
  size_t size = strlen(text);
  if (write(STDERR_FILENO, text, size) < 0) return;
}

void say_where(const void *address) {
  char text[] = "EXCVADDR: 0x0000000000000000\r\n";
  char *digit = text + sizeof text - 4;
  for (uintptr_t a = reinterpret_cast<uintptr_t>(address); a; a >>= 4) *digit-- = "0123456789abcdef"[a & 15];
  say(text);
}

void say_guru(const char *why) {
  char core[] = "Core  0 panic'ed (";
  core[6] += task_core();
  say("\r\nGuru Meditation Error: ");
  say(core);
  say(why);
  say("). Exception was unhandled.\r\nTask: ");
  say(task_name());
  say("\r\n");
}

volatile sig_atomic_t panicking = 0;

void on_signal(int number, siginfo_t *info, void *context) {
  if (panicking) _exit(134);
  panicking = 1;
  if (number == SIGABRT) {
    say("\r\nabort() was called on core ");
    say(task_core() ? "1" : "0");
    say(" in task ");
    say(task_name());
    say("\r\n");
  } else {
    bool write = false;
#ifdef __x86_64__
    write = static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_ERR] & 2;
#endif
    say_guru(number == SIGFPE                        ? "IntegerDivideByZero"
             : number == SIGILL || number == SIGTRAP ? "IllegalInstruction"
             : task_stack_near(info->si_addr)        ? "Stack overflow"
             : write                                 ? "StoreProhibited"
                                                     : "LoadProhibited");
    say_where(info->si_addr);
  }
  say("\r\nRebooting...\r\n");
  signal(number, SIG_DFL);
  sigset_t mine;
  sigemptyset(&mine);
  sigaddset(&mine, number);
  pthread_sigmask(SIG_UNBLOCK, &mine, nullptr);
  raise(number);
}

void catch_panics() {
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  for (int number : numbers) sigaction(number, &action, nullptr);
}

// Says why, before abort() says that it was called.
[[noreturn]] void on_terminate() {
  say("\r\nterminate called");
  if (std::current_exception()) {
    try {
      throw;
    } catch (const std::exception &e) {
      say(": ");
      say(e.what());
    } catch (...) {
      say(" after an exception");
    }
  }
  say("\r\n");
  abort();
}

}  // namespace

// The library's own handler prints the exception's name, for which it brings 60 KB along.
namespace __gnu_cxx {
void __verbose_terminate_handler() { on_terminate(); }
}  // namespace __gnu_cxx

void panic(const char *reason) {
  say("\r\n");
  say(reason);
  say("\r\n");
  abort();
}

// Too deep a recursion has no stack left for a handler.
void panic_on_this_stack() {
  const size_t size = 16 << 10;
  static thread_local bool done = false;
  if (done) return;
  done = true;
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_t stack = {};
  stack.ss_sp = memory;
  stack.ss_size = size;
  sigaltstack(&stack, nullptr);
}

// --- Start

static void init_arduino() {
  if (board_ota_state(*board_running()) == BOARD_OTA_PENDING && !verifyRollbackLater()) {
    if (verifyOta()) {
      board_ota_confirm();
    } else {
      esp_ota_mark_app_invalid_rollback_and_reboot();
    }
  }
  initVariant();
}

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  catch_panics();
  task_begin("loopTask", 1);
  heap_begin();
  board_begin();
  init_arduino();
  setup();
  for (;;) {
    uint64_t began = board_uptime_us();
    loop();
    if (Serial.available()) serialEvent();
    // An empty loop() does not need a whole processor.
    if (board_uptime_us() - began < 1000) vTaskDelay(1);
  }
}
