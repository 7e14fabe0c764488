// The head of an HTTP/1.x answer (RFC 9112), read byte by byte into little memory,
// and stricter than the RFC: what a right server never sends is refused.
#pragma once

#include "names.h"
#include "text.h"

namespace flota {

// Answer is what the agent needs of a head. What was not sent is empty or -1.
struct Answer {
  int status = 0;
  int64_t length = -1;       // Content-Length, bytes
  int64_t clock = -1;        // X-Flota-Clock, seconds since 1970
  int64_t retry_after = -1;  // seconds; a date counts as not sent
  char poll[12] = "";        // X-Flota-Poll, as sent
  char etag[24] = "";
  char mac[65] = "";
  char range[64] = "";  // Content-Range
};

class AnswerHead {
 public:
  enum class Result : uint8_t { more, done, bad };

  // add takes the next byte. After done, what follows is the body. Bad are: what is no
  // HTTP, a transfer coding (chunked), a header that the agent needs and that is there
  // twice or too long, more than 8 KiB in all.
  Result add(char c);
  const Answer &answer() const { return answer_; }

 private:
  static constexpr size_t kMaxHead = 8192;

  bool line();
  bool status_line(Text line);
  bool header(Text name, Text value);
  bool keep(Text value, char *to, size_t room);
  bool keep(Text value, int64_t *to);

  Answer answer_;
  char line_[256];
  uint16_t size_ = 0;
  uint16_t total_ = 0;
  bool cut_ = false;    // the line was longer than its room
  bool begun_ = false;  // the status line was read
  bool bad_ = false;
};

}  // namespace flota
