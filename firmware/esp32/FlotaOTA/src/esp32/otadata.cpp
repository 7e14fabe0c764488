#include "otadata.h"

namespace flota {

// As esp_rom_crc32_le(UINT32_MAX, &seq, 4): what is usually the start value's complement is 0 here.
uint32_t ota_crc(uint32_t seq) {
  uint32_t crc = 0;
  for (int i = 0; i < 32; i++) {
    uint32_t bit = (crc ^ seq) & 1;
    seq >>= 1;
    crc = (crc >> 1) ^ (bit ? 0xEDB88320 : 0);
  }
  return ~crc;
}

bool ota_valid(const OtaEntry &entry) {
  return entry.seq != UINT32_MAX && entry.state != kOtaInvalid && entry.state != kOtaAborted &&
         entry.crc == ota_crc(entry.seq);
}

int ota_active(const OtaEntry entries[2]) {
  bool first = ota_valid(entries[0]), second = ota_valid(entries[1]);
  if (first && second) return entries[1].seq > entries[0].seq ? 1 : 0;
  return first ? 0 : second ? 1 : -1;
}

}  // namespace flota
