// FlotaOTA: updates over the air from a Flota server, for ESP32, Pico W and virtual
// boards. A sketch needs none of this: the farm adds the library to it, and the
// agent runs in a task of its own from before setup() on. What is here is for
// sketches that want a say.
#pragma once

#include <stdint.h>

// What the agent tells of an update.
enum class FlotaState : uint8_t { downloading, verified, applied, confirmed, failed, rolled_back };

struct FlotaUpdate {
  FlotaState state;
  uint8_t percent;      // of the download
  const char *version;  // of the release, as its author named it
  const char *reason;   // with failed and rolled_back: as in the protocol; else ""
  uint32_t size;        // bytes of the image
};

class FlotaOTAClass {
 public:
  // begin starts the agent; called again it does nothing. Where the farm added the
  // library it was called before setup().
  void begin();

  // Callbacks run in the agent's task; set them first thing in setup(). They must return soon.
  void onUpdate(void (*callback)(const FlotaUpdate &update));
  // onOffer may refuse a release for good (reported as "vetoed").
  void onOffer(bool (*accept)(const FlotaUpdate &update));
  // onReady is asked before the restart into a new image, again every second, for
  // as long as it takes: "is it safe to restart now?"
  void onReady(bool (*safe)());
  // onSelfTest decides, before the first check-in of a new image, whether that
  // works; false goes back to the old one at once.
  void onSelfTest(bool (*passed)());

  // check makes the agent poll at once, as the trigger button does.
  void check();
  // checkNow polls and waits until there is nothing to do, for boards that wake up
  // only now and then: true when it is safe to sleep again (a check-in, and nothing
  // pending), false after timeout_ms. It does not return when an update was installed.
  bool checkNow(uint32_t timeout_ms = 60000);
  // pending tells whether this image is still on trial; do not sleep while it is.
  bool pending();
  bool provisioned();
  const char *productId();  // "" before provisioning
  const char *version();    // of the release that runs; "" when unknown
};

extern FlotaOTAClass FlotaOTA;

// FLOTA_MANAGED stands once in a program and starts the agent before setup(). The
// farm puts it beside every managed sketch. A sketch may define its own verifyRollbackLater().
int flota_start_before_setup();
#define FLOTA_MANAGED                                                          \
  extern "C" __attribute__((weak)) bool verifyRollbackLater() { return true; } \
  namespace {                                                                  \
  const int flota_started = flota_start_before_setup();                        \
  }
