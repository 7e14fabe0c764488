#pragma once
#include <stddef.h>
#include <stdint.h>

#include "WString.h"

typedef enum { FM_QIO, FM_QOUT, FM_DIO, FM_DOUT, FM_UNKNOWN = 255 } FlashMode_t;

// EspClass answers what an ESP32 with 4 MB of flash would.
class EspClass {
 public:
  [[noreturn]] void restart();
  [[noreturn]] void deepSleep(uint64_t us);

  // 320 KiB less the program's own variables; beyond them malloc fails.
  uint32_t getHeapSize();
  uint32_t getFreeHeap();
  uint32_t getMinFreeHeap();
  uint32_t getMaxAllocHeap();
  uint32_t getPsramSize() { return 0; }
  uint32_t getFreePsram() { return 0; }

  const char *getChipModel();
  uint16_t getChipRevision() { return 300; }
  uint8_t getChipCores() { return 2; }
  uint32_t getCpuFreqMHz();
  uint32_t getCycleCount();
  uint64_t getEfuseMac();
  const char *getSdkVersion() { return "virtual"; }
  const char *getCoreVersion() { return "3.0.0"; }

  uint32_t getFlashChipSize() { return 4 << 20; }
  uint32_t getFlashChipSpeed() { return 80000000; }
  FlashMode_t getFlashChipMode() { return FM_DIO; }
  // Of the image that runs; 0 where it was not started from the flash.
  uint32_t getSketchSize();
  String getSketchMD5();
  uint32_t getFreeSketchSpace();  // the other slot
  bool flashRead(uint32_t offset, uint32_t *data, size_t size);
  bool flashWrite(uint32_t offset, uint32_t *data, size_t size);
  bool flashEraseSector(uint32_t sector);
};

extern EspClass ESP;
