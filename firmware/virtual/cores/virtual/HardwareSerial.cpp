#include "HardwareSerial.h"

#include "board.h"
#include "kernel.h"

HardwareSerial Serial(0);
HardwareSerial Serial1(1);
HardwareSerial Serial2(2);

void HardwareSerial::begin(unsigned long baud, uint32_t, int8_t, int8_t, bool, unsigned long) {
  if (baud == 0) baud = 115200;  // where others guess
  if (port_ == 0 && baud != (baud_ ? baud_ : 115200)) board_baud(baud);
  baud_ = baud;
}

int HardwareSerial::available() { return port_ == 0 ? int(board_serial_available()) : 0; }
int HardwareSerial::peek() { return port_ == 0 ? board_serial_peek() : -1; }

int HardwareSerial::read() {
  uint8_t c;
  return read(&c, 1) == 1 ? c : -1;
}

size_t HardwareSerial::read(uint8_t *to, size_t size) { return port_ == 0 ? board_serial_read(to, size) : 0; }

size_t HardwareSerial::write(const uint8_t *data, size_t size) {
  if (port_ == 0) board_serial_write(data, size);
  return size;
}

static void (*received)();
static Alarm looking = {[](void *) {
                          if (received && board_serial_available()) received();
                        },
                        nullptr,
                        0,
                        0,
                        nullptr,
                        false};

void HardwareSerial::onReceive(void (*callback)(), bool) {
  if (port_ != 0) return;
  received = callback;
  if (callback) {
    timer_alarms.start(&looking, 5000, 5000);
  } else {
    timer_alarms.stop(&looking);
  }
}
