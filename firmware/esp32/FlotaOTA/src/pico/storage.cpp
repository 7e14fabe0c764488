#include "storage.h"

#include <string.h>

namespace flota {

namespace {

// Name is the file of a key.
struct Name {
  char text[32] = "flota/";
  explicit Name(const char *key) { strncat(text, key, sizeof text - 1 - strlen(text)); }
};

}  // namespace

int PicoStorage::get(const char *key, void *value, size_t room) {
  Name name(key);
  int32_t size = files_.size(name.text);
  if (size < 0 || size_t(size) > room || !files_.read(name.text, 0, value, size_t(size))) return -1;
  return int(size);
}

bool PicoStorage::put(const char *key, const void *value, size_t size) {
  return files_.write(Name(key).text, value, size);
}

bool PicoStorage::erase(const char *key) { return files_.remove(Name(key).text); }

}  // namespace flota
