// What the agent asks of the server: signed requests, whose answers prove to be the
// server's own, and images.
#pragma once

#include "connection.h"
#include "http.h"
#include "ports.h"
#include "settings.h"

namespace flota {

// What became of a request, as the protocol's table of answers has it.
enum class Outcome : uint8_t {
  ok,         // to a signed request: a check-in
  outage,     // nothing, or nothing that the protocol knows
  unknown,    // 401: the device is not known, or its key is void
  forbidden,  // 403: the link is of no use any more
  later,      // 429, 503
  wrong,      // 400, 404, 413, 416
};

Outcome outcome(int status);

class Client {
 public:
  static constexpr size_t kRoom = kMaxAnswer;

  // room holds requests, answers and certificates, one after the other: kRoom bytes.
  Client(Machine &machine, char *room) : machine_(machine), room_(room) {}

  // load reads the settings; false for a device that was given nothing.
  bool load();

  // ask sends a signed request, and repeats it once where only the clock was off. The
  // body of the answer lies in room, its length is in answer.
  Outcome ask(const char *method, const char *path, Text running, Text etag, Text body, Answer *answer);

  // image asks for a link's bytes from an offset on; the body is then in the connection.
  Outcome image(Connection *connection, Text link, uint32_t offset, Answer *answer);

  // server is the cable's word for how it went last.
  const char *server() const { return server_; }

 private:
  Outcome ask_once(const char *method, const char *path, Text running, Text etag, Text body, Answer *answer);
  int64_t clock() const;

  Machine &machine_;
  char *const room_;
  Settings settings_;
  int64_t clock_ = 0;      // the server's, at clock_at_; 0: not known yet
  uint64_t clock_at_ = 0;  // millis
  const char *server_ = "none";
};

}  // namespace flota
