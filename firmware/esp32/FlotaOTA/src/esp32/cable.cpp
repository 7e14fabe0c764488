#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "cable.h"

#include <Arduino.h>

// USB Serial/JTAG where Serial is the UART: it is what a board without a USB bridge shows
// its host. The core's own object for it is called differently from version to version.
#if defined(ARDUINO_USB_MODE) && ARDUINO_USB_MODE && !ARDUINO_USB_CDC_ON_BOOT && __has_include(<HWCDC.h>)
#include <HWCDC.h>
#define FLOTA_USB_BESIDES 1
#endif

namespace flota {

namespace {

#if FLOTA_USB_BESIDES
HWCDC usb;
#endif

}  // namespace

int EspCable::read(uint8_t *data, size_t room) {
  if (!begun_) {
    begun_ = true;
    if (Serial.baudRate() == 0) Serial.begin(115200);
#if FLOTA_USB_BESIDES
    usb.begin();
#endif
  }
  int n = 0;
  while (size_t(n) < room && Serial.available() > 0) data[n++] = uint8_t(Serial.read());
  if (n > 0) usb_ = false;
#if FLOTA_USB_BESIDES
  if (n > 0) return n;
  while (size_t(n) < room && usb.available() > 0) data[n++] = uint8_t(usb.read());
  if (n > 0) usb_ = true;
#endif
  return n;
}

void EspCable::write(const char *data, size_t size) {
#if FLOTA_USB_BESIDES
  if (usb_) {
    usb.write(reinterpret_cast<const uint8_t *>(data), size);
    return;
  }
#endif
  Serial.write(reinterpret_cast<const uint8_t *>(data), size);
}

}  // namespace flota

#endif
