#include "client.h"

#include "sign.h"
#include "timing.h"

namespace flota {

namespace {

// Head composes a request.
class Head {
 public:
  Head(char *room, size_t size) : begin_(room), at_(room), end_(room + size) {}
  void add(Text text) {
    ok_ = ok_ && text.size <= size_t(end_ - at_);
    if (!ok_) return;
    memcpy(at_, text.data, text.size);
    at_ += text.size;
  }
  void begin(const char *method, Text path, Text host) {
    add(method);
    add(" ");
    add(path);
    add(" HTTP/1.1");
    header("Host", host);
    header("Connection", "close");
  }
  void header(const char *name, Text value) {
    if (value.empty()) return;
    add("\r\n");
    add(name);
    add(": ");
    add(value);
  }
  void body(Text body) {
    add("\r\n\r\n");
    add(body);
  }
  // send returns false also when the request did not fit.
  bool send(Connection *connection) { return ok_ && connection->send(begin_, size_t(at_ - begin_)); }

 private:
  char *const begin_;
  char *at_;
  char *const end_;
  bool ok_ = true;
};

}  // namespace

Outcome outcome(int status) {
  switch (status) {
    case 200:
    case 204:
    case 206:
    case 304:
      return Outcome::ok;
    case 400:
    case 404:
    case 413:
    case 416:
      return Outcome::wrong;
    case 401:
      return Outcome::unknown;
    case 403:
      return Outcome::forbidden;
    case 429:
    case 503:
      return Outcome::later;
    default:
      return Outcome::outage;
  }
}

bool Client::load() {
  server_ = "none";
  wipe(&settings_.credential, sizeof settings_.credential);
  return settings_.load(machine_.storage, machine_.crypto);
}

int64_t Client::clock() const {
  return clock_ == 0 ? 0 : clock_ + int64_t((machine_.board.millis() - clock_at_) / 1000);
}

Outcome Client::ask(const char *method, const char *path, Text running, Text etag, Text body, Answer *answer) {
  Outcome o = ask_once(method, path, running, etag, body, answer);
  if (o == Outcome::unknown && answer->clock >= 0) {
    clock_ = answer->clock;
    clock_at_ = machine_.board.millis();
    o = ask_once(method, path, running, etag, body, answer);
  }
  if (o == Outcome::ok) {
    server_ = "ok";
  } else if (o == Outcome::unknown) {
    server_ = answer->clock >= 0 ? "clock" : "unknown_device";
  } else if (answer->status != 0) {
    server_ = "unreachable";
  }
  return o;
}

Outcome Client::ask_once(const char *method, const char *path, Text running, Text etag, Text body, Answer *answer) {
  *answer = Answer();
  Connection connection(machine_);
  if (!connection.open(settings_.server, room_, kRoom)) {
    server_ = machine_.network.untrusted() ? "certificate" : "unreachable";
    return Outcome::outage;
  }
  connection.limit(kNoProgress);

  uint8_t random[16];
  for (size_t i = 0; i < sizeof random; i += 4) {
    uint32_t word = machine_.board.random();
    memcpy(random + i, &word, 4);
  }
  char nonce[33], time[21], length[21];
  hex(random, sizeof random, nonce);
  decimal(clock(), time);
  // "Flota1 <key_id>:<mac>"
  char authorization[7 + 32 + 1 + 64 + 1] = "Flota1 ";
  memcpy(authorization + 7, settings_.credential.key_id, 32);
  authorization[39] = ':';
  if (!request_mac(machine_.crypto, settings_.credential.k, {method, path, nonce, time, running, etag, body},
                   authorization + 40)) {
    return Outcome::outage;
  }

  Origin origin;
  parse_origin(settings_.server, &origin);
  Head head(room_, kRoom);
  head.begin(method, path, origin.authority);
  head.header("Authorization", authorization);
  head.header("X-Flota-Nonce", nonce);
  head.header("X-Flota-Time", time);
  head.header("X-Flota-Running", running);
  head.header("If-None-Match", etag);
  if (!body.empty()) {
    decimal(int64_t(body.size), length);
    head.header("Content-Type", "application/json");
    head.header("Content-Length", length);
  }
  head.body(body);
  if (!head.send(&connection) || !connection.head(answer)) {
    *answer = Answer();
    server_ = "unreachable";
    return Outcome::outage;
  }
  if (answer->status != 200) answer->length = 0;  // nobody reads the body of another
  Outcome o = outcome(answer->status);
  if (o != Outcome::ok) return o;
  if (answer->length < 0 || answer->length > int64_t(kRoom)) return Outcome::outage;
  for (size_t size = 0; size < size_t(answer->length);) {
    int n = connection.read(reinterpret_cast<uint8_t *>(room_) + size, size_t(answer->length) - size);
    if (n <= 0) return Outcome::outage;
    size += size_t(n);
  }
  AnswerFields fields = {nonce, answer->status, answer->poll, answer->etag, Text(room_, size_t(answer->length))};
  return genuine(machine_.crypto, settings_.credential.k, fields, answer->mac) ? Outcome::ok : Outcome::outage;
}

Outcome Client::image(Connection *connection, Text link, uint32_t offset, Answer *answer) {
  *answer = Answer();
  if (!connection->open(settings_.server, room_, kRoom)) return Outcome::outage;
  connection->limit(kSession);
  char range[6 + 21 + 1] = "bytes=";
  size_t length = 6 + decimal(offset, range + 6);
  range[length++] = '-';
  Origin origin;
  parse_origin(settings_.server, &origin);
  Head head(room_, kRoom);
  head.begin("GET", link, origin.authority);
  if (offset > 0) head.header("Range", Text(range, length));
  head.body("");
  if (!head.send(connection) || !connection->head(answer)) return Outcome::outage;
  return outcome(answer->status);
}

}  // namespace flota
