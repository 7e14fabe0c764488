// flota::Storage on an ESP32: NVS, namespace "flota".
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include <nvs.h>

#include "../flota/ports.h"

namespace flota {

class EspStorage final : public Storage {
 public:
  // ready tells whether NVS is there, or will not be: the Arduino core brings it up.
  static bool ready();

  int get(const char *key, void *value, size_t room) override;
  bool put(const char *key, const void *value, size_t size) override;
  bool erase(const char *key) override;

 private:
  bool open();

  nvs_handle_t handle_ = 0;
  bool open_ = false;
};

}  // namespace flota

#endif
