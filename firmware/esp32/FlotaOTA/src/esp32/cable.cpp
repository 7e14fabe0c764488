#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "cable.h"

#include <Arduino.h>
#include <soc/soc_caps.h>

// The chip's USB Serial/JTAG, where Serial is the UART: it is all that a board without a USB
// bridge shows its host. Its FIFO is polled; the host waits until there is room in it. (The core's
// HWCDC would cost every sketch 20 KiB.)
#if SOC_USB_SERIAL_JTAG_SUPPORTED && defined(ARDUINO_USB_MODE) && ARDUINO_USB_MODE && !ARDUINO_USB_CDC_ON_BOOT
#include <hal/usb_serial_jtag_ll.h>
#define FLOTA_USB_BESIDES 1
#endif

namespace flota {

namespace {

#if FLOTA_USB_BESIDES
constexpr int kHostReads = 100;  // milliseconds until it is clear that nobody does

void usb_write(const uint8_t *data, size_t size) {
  for (int waited = 0; size > 0 && waited < kHostReads;) {
    uint32_t n = uint32_t(usb_serial_jtag_ll_write_txfifo(data, uint32_t(size)));
    usb_serial_jtag_ll_txfifo_flush();
    data += n;
    size -= n;
    if (n > 0) {
      waited = 0;
    } else {
      delay(1);
      waited++;
    }
  }
}
#endif

}  // namespace

int EspCable::read(uint8_t *data, size_t room) {
  if (!begun_) {
    begun_ = true;
    if (Serial.baudRate() == 0) Serial.begin(115200);
  }
  int n = 0;
  while (size_t(n) < room && Serial.available() > 0) data[n++] = uint8_t(Serial.read());
  if (n > 0) usb_ = false;
#if FLOTA_USB_BESIDES
  if (n > 0) return n;
  n = usb_serial_jtag_ll_read_rxfifo(data, uint32_t(room));
  if (n > 0) usb_ = true;
#endif
  return n;
}

void EspCable::write(const char *data, size_t size) {
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(data);
#if FLOTA_USB_BESIDES
  if (usb_) return usb_write(bytes, size);
#endif
  Serial.write(bytes, size);
}

}  // namespace flota

#endif
