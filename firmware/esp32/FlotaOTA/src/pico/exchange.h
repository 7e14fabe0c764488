// The exchange of two threads on one core: the sketch's on the main stack, below whatever interrupts put
// there, and the agent's on the process stack.
#pragma once

#include <stdint.h>

extern "C" {

struct FlotaThread {
  uint32_t *stack;  // of the agent, while it does not run
  volatile uint32_t runs;
};
extern FlotaThread flota_thread;

// flota_exchange is the handler of PendSV, which must have the lowest priority of all: it is taken where no
// other interrupt is being handled.
void flota_exchange();
}

namespace flota {

// prepare_stack makes the agent's stack, whose size is a multiple of 8, look as if body had just been left at its
// beginning.
void prepare_stack(uint8_t *stack, uint32_t size, void (*body)());

// exchange runs the other thread: at once, or in an interrupt, after that.
void exchange();

}  // namespace flota
