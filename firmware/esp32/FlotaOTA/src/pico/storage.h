// flota::Storage on a Pico: a file for each value, "flota/" and its key.
#pragma once

#include "../flota/ports.h"
#include "files.h"

namespace flota {

class PicoStorage final : public Storage {
 public:
  explicit PicoStorage(Files &files) : files_(files) {}

  int get(const char *key, void *value, size_t room) override;
  bool put(const char *key, const void *value, size_t size) override;
  bool erase(const char *key) override;

 private:
  Files &files_;
};

}  // namespace flota
