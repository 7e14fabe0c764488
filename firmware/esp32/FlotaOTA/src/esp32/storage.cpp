#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "storage.h"

#include <stdlib.h>
#include <string.h>

#include "../flota/names.h"
#include "../flota/text.h"

namespace flota {

namespace {

constexpr const char *kSpace = "flota";

}  // namespace

bool EspStorage::ready() {
  nvs_handle_t handle;
  esp_err_t err = nvs_open(kSpace, NVS_READONLY, &handle);
  if (err == ESP_OK) nvs_close(handle);
  return err != ESP_ERR_NVS_NOT_INITIALIZED;
}

bool EspStorage::open() {
  if (!open_) open_ = nvs_open(kSpace, NVS_READWRITE, &handle_) == ESP_OK;
  return open_;
}

int EspStorage::get(const char *key, void *value, size_t room) {
  size_t size = 0;
  if (!open()) return -1;
  if (!is_text(key)) {
    size = room;
    return nvs_get_blob(handle_, key, value, &size) == ESP_OK ? int(size) : -1;
  }
  // NVS wants room for the NUL, which is not ours to ask for.
  if (nvs_get_str(handle_, key, nullptr, &size) != ESP_OK || size == 0 || size - 1 > room) return -1;
  if (size <= room) return nvs_get_str(handle_, key, static_cast<char *>(value), &size) == ESP_OK ? int(size) - 1 : -1;
  char *text = static_cast<char *>(malloc(size));
  if (text == nullptr) return -1;
  bool done = nvs_get_str(handle_, key, text, &size) == ESP_OK;
  if (done) memcpy(value, text, size - 1);
  wipe(text, size);
  free(text);
  return done ? int(size) - 1 : -1;
}

bool EspStorage::put(const char *key, const void *value, size_t size) {
  if (!open()) return false;
  if (!is_text(key)) return nvs_set_blob(handle_, key, value, size) == ESP_OK && nvs_commit(handle_) == ESP_OK;
  char *text = static_cast<char *>(malloc(size + 1));
  if (text == nullptr) return false;
  memcpy(text, value, size);
  text[size] = 0;
  bool done = strlen(text) == size && nvs_set_str(handle_, key, text) == ESP_OK && nvs_commit(handle_) == ESP_OK;
  wipe(text, size);
  free(text);
  return done;
}

bool EspStorage::erase(const char *key) {
  if (!open()) return false;
  esp_err_t err = nvs_erase_key(handle_, key);
  if (err == ESP_ERR_NVS_NOT_FOUND) return true;
  return err == ESP_OK && nvs_commit(handle_) == ESP_OK;
}

}  // namespace flota

#endif
