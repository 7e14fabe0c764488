// The partition "otadata", by which ESP-IDF's bootloader knows which slot starts. The
// form is esp_ota_select_entry_t (esp_flash_partitions.h): one entry at the start of
// each of two sectors, little-endian. Nothing in here touches the flash.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

// OtaEntry is what one sector of otadata begins with.
struct OtaEntry {
  uint32_t seq;  // the highest one that is valid counts; slot (seq - 1) mod the number of slots
  uint8_t label[20];
  uint32_t state;
  uint32_t crc;  // of seq alone
};
static_assert(sizeof(OtaEntry) == 32, "an entry has 32 bytes");

constexpr uint32_t kOtaNew = 0;      // to be tried at the next start
constexpr uint32_t kOtaInvalid = 3;  // gone back from
constexpr uint32_t kOtaAborted = 4;  // its one start ended before it was made valid
constexpr uint32_t kOtaUndefined = 0xFFFFFFFF;

// ota_crc is the CRC-32 that an entry with this seq has.
uint32_t ota_crc(uint32_t seq);

// ota_valid tells whether the bootloader goes by an entry at all.
bool ota_valid(const OtaEntry &entry);

// ota_active is the entry that the bootloader goes by: 0, 1, or -1 where there is none.
int ota_active(const OtaEntry entries[2]);

}  // namespace flota
