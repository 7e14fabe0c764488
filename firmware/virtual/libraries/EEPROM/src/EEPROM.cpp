#include "EEPROM.h"

#include <board.h>

EEPROMClass EEPROM;

static const char space[] = "eeprom";

bool EEPROMClass::begin(size_t size) {
  if (size == 0 || size > 4096) return false;
  uint8_t *data = static_cast<uint8_t *>(malloc(size));
  if (!data) return false;
  memset(data, 0xFF, size);
  // What was kept in another size begins the same.
  uint8_t kept[4096];
  int n = board_nvs_get(space, name_, nullptr, kept, sizeof kept);
  if (n > 0) memcpy(data, kept, size_t(n) < size ? n : size);
  free(data_);
  data_ = data;
  size_ = size;
  dirty_ = false;
  return true;
}

bool EEPROMClass::commit() {
  if (!data_) return false;
  if (!dirty_) return true;
  if (!board_nvs_put(space, name_, 'b', data_, size_)) return false;
  dirty_ = false;
  return true;
}

void EEPROMClass::end() {
  commit();
  free(data_);
  data_ = nullptr;
  size_ = 0;
}

size_t EEPROMClass::readBytes(int address, void *to, size_t size) const {
  if (!inside(address, size)) return 0;
  memcpy(to, data_ + address, size);
  return size;
}

size_t EEPROMClass::writeBytes(int address, const void *from, size_t size) {
  if (!inside(address, size)) return 0;
  if (memcmp(data_ + address, from, size) != 0) {
    memcpy(data_ + address, from, size);
    dirty_ = true;
  }
  return size;
}

size_t EEPROMClass::writeString(int address, const char *text) {
  size_t n = strlen(text);
  return writeBytes(address, text, n + 1) ? n : 0;
}

String EEPROMClass::readString(int address) const {
  if (!inside(address, 1)) return String();
  const char *from = reinterpret_cast<const char *>(data_ + address);
  return String(from, strnlen(from, size_ - address));
}
