// flota::Cable on an ESP32: the serial port.
#pragma once
#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "../flota/ports.h"

namespace flota {

// EspCable is Serial, at 115200 baud unless the sketch began it otherwise; where the chip's own
// USB port is there besides, that, too: answers go where the last byte came from.
class EspCable final : public Cable {
 public:
  int read(uint8_t *data, size_t room) override;
  void write(const char *data, size_t size) override;

 private:
  bool begun_ = false;
  bool usb_ = false;
};

}  // namespace flota

#endif
