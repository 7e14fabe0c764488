// flota::Files in LittleFS, which the sketch may use as well.
#pragma once
#if defined(ARDUINO_ARCH_RP2040)

#include <FS.h>

#include "files.h"

namespace flota {

class PicoFiles final : public Files {
 public:
  explicit PicoFiles(fs::FS &fs) : fs_(fs) {}

  int32_t size(const char *name) override;
  bool read(const char *name, uint32_t offset, void *data, size_t size) override;
  bool write(const char *name, const void *data, size_t size) override;
  bool append(const char *name, const void *data, size_t size) override;
  bool truncate(const char *name, uint32_t size) override;
  bool sync() override;
  bool remove(const char *name) override;
  bool rename(const char *from, const char *to) override;
  uint32_t room() override;

 private:
  bool settle();

  fs::FS &fs_;
  fs::File in_, out_;  // open for reading, and for appending
  char reading_[64] = "", appending_[64] = "";
};

// share puts a lock around everything that the sketch does with LittleFS from now on. LittleFS is not made for two who
// use it at the same time. What would take it from the agent does nothing: format and end.
void share();

// prepare_to_share does for share what an interrupt cannot.
void prepare_to_share();

}  // namespace flota

#endif
