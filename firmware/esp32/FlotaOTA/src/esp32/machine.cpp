// An ESP32 under arduino-esp32 2.x or 3.x as the agent's machine, and a task for the agent.
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <stdlib.h>

#include "../mbedtls/crypto.h"
#include "board.h"
#include "cable.h"
#include "network.h"
#include "slots.h"
#include "storage.h"

namespace flota {

namespace {

constexpr uint32_t kStack = 10240;       // bytes; README.md of firmware/esp32 tells how much of it was used
constexpr UBaseType_t kPriority = 1;     // as loop(): above idle, and taking turns with a loop() that never waits
constexpr uint32_t kCoreStarts = 10000;  // milliseconds until it is clear that NVS will not come

void (*agent_body)() = nullptr;

// The Arduino core brings NVS up, as good as last, before setup(). An agent whose storage never
// comes does what it can without.
void run(void *) {
  for (uint32_t waited = 0; waited < kCoreStarts && !EspStorage::ready(); waited += 20) vTaskDelay(pdMS_TO_TICKS(20));
  agent_body();
  abort();  // it never returns
}

}  // namespace

Machine &machine() {
  static EspStorage storage;
  static EspSlots slots(storage);
  static EspBoard board;
  static MbedtlsCrypto crypto;
  static EspCable cable;
  static EspNetwork network(storage);
  static Machine machine{network, slots, storage, board, crypto, cable};
  return machine;
}

// A static constructor may call it: the task begins when the scheduler does.
void start(void (*agent)()) {
  agent_body = agent;
  if (xTaskCreatePinnedToCore(run, "flota", kStack, nullptr, kPriority, nullptr, tskNO_AFFINITY) != pdPASS) abort();
}

}  // namespace flota

#endif
