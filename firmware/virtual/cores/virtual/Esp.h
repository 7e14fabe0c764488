#pragma once
#include <stdint.h>

// EspClass answers what an ESP32 with 4 MB of flash would.
class EspClass {
 public:
  // Ends the process with status 64: whoever runs it starts it again.
  [[noreturn]] void restart();
  const char *getChipModel() { return "ESP32-VIRTUAL"; }
  uint8_t getChipCores() { return 2; }
  uint32_t getCpuFreqMHz() { return 240; }
  uint32_t getFlashChipSize() { return 4 << 20; }
  uint32_t getHeapSize() { return 327680; }
  uint32_t getFreeHeap() { return 262144; }
  const char *getSdkVersion() { return "virtual"; }
};

extern EspClass ESP;
