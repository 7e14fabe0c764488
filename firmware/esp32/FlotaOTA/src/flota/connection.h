// One request and its answer over the network.
#pragma once

#include "http.h"
#include "ports.h"
#include "settings.h"

namespace flota {

class Connection {
 public:
  explicit Connection(Machine &machine) : machine_(machine) {}
  ~Connection() { machine_.network.close(); }
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  // open connects to the server. room is for the certificate to pin, kMaxValue + 1
  // bytes, and free again afterwards.
  bool open(const char *server, char *room, size_t size);
  // limit ends everything that follows after so many milliseconds. Without it, only
  // standing still for 30 s does.
  void limit(uint32_t ms);
  bool send(const char *data, size_t size);
  // head reads until the end of the answer's head.
  bool head(Answer *answer);
  // read gives the next bytes of the body, 0 or less when none come any more.
  int read(uint8_t *data, size_t size);

 private:
  uint32_t patience();

  Machine &machine_;
  uint64_t end_ = UINT64_MAX;
  uint8_t in_[256];
  uint16_t at_ = 0, size_ = 0;  // what was read of the body with the head
};

}  // namespace flota
