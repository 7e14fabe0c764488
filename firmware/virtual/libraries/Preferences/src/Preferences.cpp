#include "Preferences.h"

#include <board.h>

bool Preferences::begin(const char *name, bool readOnly, const char *) {
  if (space_[0] || !name || !*name || strlen(name) >= sizeof space_) return false;
  if (readOnly && !board_nvs_exists(name)) return false;
  strcpy(space_, name);
  read_only_ = readOnly;
  return true;
}

bool Preferences::clear() { return space_[0] && !read_only_ && board_nvs_clear(space_); }
bool Preferences::remove(const char *key) { return space_[0] && !read_only_ && board_nvs_erase(space_, key); }
size_t Preferences::freeEntries() { return board_nvs_free(); }

PreferenceType Preferences::getType(const char *key) {
  char type;
  int size = space_[0] ? board_nvs_get(space_, key, &type, nullptr, 0) : -1;
  if (size < 0) return PT_INVALID;
  if (type == 's') return PT_STR;
  if (type == 'b') return PT_BLOB;
  int unsigned_ = type == 'u';
  return PreferenceType((size == 1 ? PT_I8 : size == 2 ? PT_I16 : size == 4 ? PT_I32 : PT_I64) + unsigned_);
}

size_t Preferences::put(const char *key, char type, const void *value, size_t size) {
  return space_[0] && !read_only_ && board_nvs_put(space_, key, type, value, size) ? size : 0;
}

bool Preferences::get(const char *key, char type, void *value, size_t size) {
  char found;
  uint8_t data[8];
  int n = space_[0] ? board_nvs_get(space_, key, &found, data, sizeof data) : -1;
  if (n != int(size) || found != type) return false;
  memcpy(value, data, size);
  return true;
}

size_t Preferences::length(const char *key, char type) {
  char found;
  int n = space_[0] ? board_nvs_get(space_, key, &found, nullptr, 0) : -1;
  return n >= 0 && found == type ? n : 0;
}

size_t Preferences::getBytes(const char *key, void *to, size_t room) {
  size_t n = length(key, 'b');
  return n && n <= room && board_nvs_get(space_, key, nullptr, to, room) == int(n) ? n : 0;
}

size_t Preferences::getString(const char *key, char *to, size_t room) {
  char type;
  int n = space_[0] ? board_nvs_get(space_, key, &type, nullptr, 0) : -1;
  if (n < 0 || type != 's' || size_t(n) >= room || board_nvs_get(space_, key, nullptr, to, room) != n) return 0;
  to[n] = 0;
  return n + 1;
}

String Preferences::getString(const char *key, const String &otherwise) {
  char type;
  int n = space_[0] ? board_nvs_get(space_, key, &type, nullptr, 0) : -1;
  if (n < 0 || type != 's') return otherwise;
  char *text = static_cast<char *>(malloc(n + 1));
  String value = text && getString(key, text, n + 1) ? String(text) : otherwise;
  free(text);
  return value;
}
