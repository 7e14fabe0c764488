#include "improv.h"

#include <stdio.h>
#include <string.h>

namespace improv {

namespace {

const char kMagic[] = "IMPROV";
constexpr size_t kMagicSize = 6;
constexpr uint8_t kVersion = 1;

enum Type : uint8_t { current_state = 1, error_state = 2, rpc = 3, rpc_result = 4 };
enum Command : uint8_t { send_wifi = 1, get_state = 2, get_info = 3, get_networks = 4 };

uint8_t sum(const uint8_t *data, size_t size) {
  uint8_t total = 0;
  for (size_t i = 0; i < size; i++) total = uint8_t(total + data[i]);
  return total;
}

// text reads a length and so many bytes, up to room - 1.
bool text(const uint8_t **at, const uint8_t *end, char *to, size_t room) {
  if (*at == end) return false;
  size_t size = *(*at)++;
  if (size > size_t(end - *at) || size >= room || memchr(*at, 0, size) != nullptr) return false;
  memcpy(to, *at, size);
  to[size] = 0;
  *at += size;
  return true;
}

}  // namespace

size_t Improv::receive(uint8_t byte) {
  if (size_ == 0 && !(fresh_ && byte == uint8_t(kMagic[0]))) {
    fresh_ = byte == '\n';
    room_[0] = byte;
    return 1;
  }
  room_[size_++] = byte;
  bool fits = size_ <= kMagicSize ? byte == uint8_t(kMagic[size_ - 1]) : size_ != kMagicSize + 1 || byte == kVersion;
  if (!fits) {
    size_t passed = size_;
    size_ = 0;
    fresh_ = byte == '\n';
    return passed;
  }
  if (size_ >= kHead && size_ == kHead + room_[kHead - 1] + 1) {
    packet();
    size_ = 0;
    fresh_ = true;
  }
  return 0;
}

void Improv::packet() {
  size_t length = room_[kHead - 1];
  if (sum(room_, size_ - 1) != room_[size_ - 1]) return error(Error::invalid);
  if (room_[kMagicSize + 1] == rpc) command(room_ + kHead, length);
}

// A command is one byte, the length of its data, and these.
void Improv::command(const uint8_t *data, size_t size) {
  if (size < 2 || data[1] != size - 2) return error(Error::invalid);
  const char *info[4];
  switch (data[0]) {
    case send_wifi:
      return wifi(data + 2, size - 2);
    case get_state:
      error(Error::none);
      state(joining_ ? State::provisioning : device_.connected() ? State::provisioned : State::authorized);
      if (!joining_ && device_.connected()) result(get_state, nullptr, 0);
      return;
    case get_info:
      error(Error::none);
      device_.info(info);
      return result(get_info, info, 4);
    case get_networks:
      error(Error::none);
      device_.scan();
      return result(get_networks, nullptr, 0);
    default:
      return error(Error::unknown_command);
  }
}

void Improv::wifi(const uint8_t *data, size_t size) {
  const uint8_t *end = data + size;
  Network network;
  bool right = text(&data, end, network.ssid, sizeof network.ssid) &&
               text(&data, end, network.password, sizeof network.password) && data == end && network.ssid[0] != 0;
  if (!right) {
    error(Error::invalid);
  } else {
    error(Error::none);
    joining_ = true;
    state(State::provisioning);
    device_.join(network);
  }
  memset(&network, 0, sizeof network);
  memset(room_, 0, sizeof room_);
}

void Improv::joined(bool success, const char *url) {
  if (!joining_) return;
  joining_ = false;
  if (!success) {
    error(Error::unable_to_connect);
    return state(State::authorized);
  }
  state(State::provisioned);
  result(send_wifi, &url, url[0] != 0 ? 1 : 0);
}

void Improv::found(const char *ssid, int rssi, bool locked) {
  char strength[8];
  snprintf(strength, sizeof strength, "%d", rssi);
  const char *texts[] = {ssid, strength, locked ? "YES" : "NO"};
  result(get_networks, texts, 3);
}

void Improv::state(State state) {
  uint8_t data = uint8_t(state);
  write(current_state, &data, 1);
}

void Improv::error(Error error) {
  uint8_t data = uint8_t(error);
  write(error_state, &data, 1);
}

void Improv::result(uint8_t command, const char *const *texts, size_t count) {
  uint8_t data[2 + 4 * 61];
  size_t size = 2;
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(texts[i]);
    if (length > 60) length = 60;
    data[size++] = uint8_t(length);
    memcpy(data + size, texts[i], length);
    size += length;
  }
  data[0] = command;
  data[1] = uint8_t(size - 2);
  write(rpc_result, data, size);
}

void Improv::write(uint8_t type, const uint8_t *data, size_t size) {
  uint8_t packet[kHead + 255 + 2];
  memcpy(packet, kMagic, kMagicSize);
  packet[kMagicSize] = kVersion;
  packet[kMagicSize + 1] = type;
  packet[kMagicSize + 2] = uint8_t(size);
  memcpy(packet + kHead, data, size);
  packet[kHead + size] = sum(packet, kHead + size);
  packet[kHead + size + 1] = '\n';
  device_.send(packet, kHead + size + 2);
}

}  // namespace improv
