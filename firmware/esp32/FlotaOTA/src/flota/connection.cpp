#include "connection.h"

#include "timing.h"

namespace flota {

bool Connection::open(const char *server, char *room, size_t size) {
  Origin origin;
  if (!parse_origin(server, &origin)) return false;
  char host[kMaxName + 1];
  copy(origin.host, host, sizeof host);
  const char *ca = nullptr;
  if (origin.tls && get_text(machine_.storage, key::ca, room, size) > 0) ca = room;
  machine_.board.feed();
  bool opened = machine_.network.open(host, origin.port, origin.tls, ca, kConnect);
  machine_.board.feed();
  return opened;
}

void Connection::limit(uint32_t ms) { end_ = machine_.board.millis() + ms; }

uint32_t Connection::patience() {
  uint64_t now = machine_.board.millis();
  if (now >= end_) return 0;
  return end_ - now < kNoProgress ? uint32_t(end_ - now) : kNoProgress;
}

bool Connection::send(const char *data, size_t size) {
  uint32_t wait = patience();
  return wait > 0 && machine_.network.write(reinterpret_cast<const uint8_t *>(data), size, wait);
}

bool Connection::head(Answer *answer) {
  AnswerHead head;
  for (;;) {
    uint32_t wait = patience();
    int n = wait > 0 ? machine_.network.read(in_, sizeof in_, wait) : -1;
    machine_.board.feed();
    if (n <= 0 || size_t(n) > sizeof in_) return false;
    for (int i = 0; i < n; i++) {
      AnswerHead::Result result = head.add(char(in_[i]));
      if (result == AnswerHead::Result::bad) return false;
      if (result == AnswerHead::Result::done) {
        *answer = head.answer();
        at_ = uint16_t(i + 1);
        size_ = uint16_t(n);
        return true;
      }
    }
  }
}

int Connection::read(uint8_t *data, size_t size) {
  if (at_ < size_) {
    size_t n = size_ - at_ < int(size) ? size_t(size_ - at_) : size;
    memcpy(data, in_ + at_, n);
    at_ = uint16_t(at_ + n);
    return int(n);
  }
  uint32_t wait = patience();
  int n = wait > 0 ? machine_.network.read(data, size, wait) : -1;
  machine_.board.feed();
  return n <= int(size) ? n : -1;
}

}  // namespace flota
