// A thread of its own for the agent, on the core that runs setup() and loop(), beside whatever
// these do: README.md of firmware/pico/arduino tells why it is one, and when it is exchanged
// for the sketch.
#pragma once
#if defined(ARDUINO_ARCH_RP2040)

#include <stdint.h>

namespace flota {

// Lock is the one of the radio and of lwIP. While a thread holds it the other does not run,
// nor does what these two do in the background; the other core waits. It may be nested, and
// must not be held while waiting. Before there is a radio it does nothing, since nobody else is there.
class Lock {
 public:
  Lock();
  ~Lock();
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

 private:
  void *const context_;
};

// start_ticks calls watch once a millisecond or so, in an interrupt, from now on. It may be
// called before main, and again.
void start_ticks(void (*watch)());

// start_thread begins the thread once the core is up. ready is called when it is, in an interrupt, before
// setup() runs, where this was called before that.
void start_thread(void (*body)(), void (*ready)());

// wait lets the other thread run for so many milliseconds, in either of the two; on the other core it is delay().
void wait(uint32_t ms);

}  // namespace flota

#endif
