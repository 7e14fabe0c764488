// flota::Slots on an ESP32: two app partitions, and ESP-IDF's bootloader.
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <esp_partition.h>

#include "../flota/ports.h"

namespace flota {

class EspSlots final : public Slots {
 public:
  // The bootloader's ability is remembered in the storage, key "t.bootloader".
  explicit EspSlots(Storage &storage) : storage_(storage) {}

  uint32_t size() override;
  bool running(uint8_t digest[32]) override;
  bool erase(uint32_t offset, uint32_t length) override;
  bool write(uint32_t offset, const uint8_t *data, size_t size) override;
  bool read(uint32_t offset, uint8_t *data, size_t size) override;
  bool acceptable(uint32_t length) override;
  bool activate() override;
  Trial trial() override;
  bool confirm() override;
  bool revert() override;
  // rolls_back tells what this bootloader did with the last new image; before the first
  // one, what this SDK's own bootloader does.
  bool rolls_back() override;

 private:
  void observe();

  Storage &storage_;
  Trial trial_ = Trial::none;
  bool observed_ = false;
  bool rolls_back_ = false;
  bool known_ = false;
  uint8_t digest_[32];
};

}  // namespace flota

#endif
