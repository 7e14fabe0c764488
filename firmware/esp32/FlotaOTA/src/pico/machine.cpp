// A Pico under arduino-pico as the agent's machine, what runs before everything else, and a
// thread for the agent.
#if defined(ARDUINO_ARCH_RP2040)

#include <Arduino.h>
#include <LittleFS.h>
#include <pico/cyw43_arch.h>

#include "../bearssl/crypto.h"
#include "../flota/agent.h"
#include "board.h"
#include "command.h"
#include "filesystem.h"
#include "network.h"
#include "slots.h"
#include "storage.h"
#include "thread.h"

extern "C" uint8_t __flash_binary_end;
extern uint8_t _FS_start, _FS_end;

namespace flota {

namespace {

class FlashProgram final : public Program {
 public:
  const uint8_t *data() override { return reinterpret_cast<const uint8_t *>(kProgramAddress); }
  uint32_t size() override { return uint32_t(uintptr_t(&__flash_binary_end)) - kProgramAddress; }
  uint32_t limit() override { return uint32_t(uintptr_t(&_FS_start)) - kProgramAddress; }
};

// The sketch has the serial port, too: with the lock it does not come between.
class PicoCable final : public Cable {
 public:
  int read(uint8_t *data, size_t room) override {
    Lock lock;
    int n = 0;
    while (size_t(n) < room && Serial.available() > 0) data[n++] = uint8_t(Serial.read());
    return n;
  }
  // Where the sketch is in the middle of writing, nothing is taken.
  void write(const char *data, size_t size) override {
    for (int tries = 0; size > 0 && tries < kTries; tries++) {
      size_t n;
      {
        Lock lock;
        n = Serial.write(reinterpret_cast<const uint8_t *>(data), size);
      }
      data += n;
      size -= n;
      if (size > 0) wait(1);
    }
  }

 private:
  static constexpr int kTries = 500;
};

PicoFiles &files() {
  static PicoFiles files(LittleFS);
  return files;
}

void (*agent_body)() = nullptr;

// A file system that was never written is made here.
void run() {
  LittleFS.begin();
  agent_body();
}

// The earliest that C++ has: before the constructors of the sketch and of its libraries. LittleFS
// is not constructed yet; this one is gone before it is.
__attribute__((constructor(101))) void early() {
  catch_faults();
  Reset reason = reset_reason();
  if (&_FS_start == &_FS_end) return;
  auto *impl = new littlefs_impl::LittleFSImpl(&_FS_start, uint32_t(&_FS_end - &_FS_start), 256, 4096, 16);
  fs::FS fs{fs::FSImplPtr(impl)};
  fs.setConfig(littlefs_impl::LittleFSConfig(false));
  if (!fs.begin()) return;
  BearsslCrypto crypto;
  FlashProgram program;
  PicoSlots::Early found;
  {
    PicoFiles files(fs);
    found = PicoSlots(files, program, crypto).early(reason);
  }
  fs.end();
  if (found.restart) restart_as(Reset::software);
  if (found.returned) returned(found.cause);
  if (found.on_trial) arm();
}

}  // namespace

Machine &machine() {
  static PicoStorage storage(files());
  static FlashProgram program;
  static BearsslCrypto crypto, of_slots;
  static PicoSlots slots(files(), program, of_slots);
  static PicoBoard board;
  static PicoCable cable;
  static PicoNetwork network(storage);
  static Machine machine{network, slots, storage, board, crypto, cable};
  return machine;
}

// A static constructor may call it. What both threads use is made here: nothing keeps two from making it at once.
void start(void (*body)()) {
  agent_body = body;
  machine();
  agent();
  prepare_to_share();
  if (cyw43_arch_async_context() != nullptr) share();  // called by setup()
  start_thread(run, share);
}

}  // namespace flota

#endif
