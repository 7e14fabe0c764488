#include "HardwareSerial.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

HardwareSerial Serial(0);
HardwareSerial Serial1(1);
HardwareSerial Serial2(2);

void HardwareSerial::begin(unsigned long, uint32_t, int8_t, int8_t) {}

int HardwareSerial::available() {
  int waiting = 0;
  if (port_ != 0 || ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0) waiting = 0;
  return waiting + (peeked_ >= 0);
}

int HardwareSerial::peek() {
  if (peeked_ >= 0 || port_ != 0) return peeked_;
  pollfd in = {STDIN_FILENO, POLLIN, 0};
  uint8_t c;
  if (::poll(&in, 1, 0) == 1 && ::read(STDIN_FILENO, &c, 1) == 1) peeked_ = c;
  return peeked_;
}

int HardwareSerial::read() {
  int c = peek();
  peeked_ = -1;
  return c;
}

// Written through stdio, line by line (see main.cpp).
size_t HardwareSerial::write(const uint8_t *data, size_t size) {
  return port_ == 0 ? fwrite(data, 1, size, stdout) : size;
}

void HardwareSerial::flush() {
  if (port_ == 0) fflush(stdout);
}
