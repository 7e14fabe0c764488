#include "http.h"

namespace flota {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; }

bool is(Text name, Text want) {
  if (name.size != want.size) return false;
  for (size_t i = 0; i < name.size; i++) {
    if (lower(name.data[i]) != want.data[i]) return false;
  }
  return true;
}

bool space(char c) { return c == ' ' || c == '\t'; }

Text trim(Text text) {
  while (text.size > 0 && space(text.data[0])) text = Text(text.data + 1, text.size - 1);
  while (text.size > 0 && space(text.data[text.size - 1])) text.size--;
  return text;
}

bool printable_ascii(char c) { return c >= ' ' && c <= '~'; }
bool token(char c) { return c > ' ' && c <= '~' && c != ':'; }

}  // namespace

AnswerHead::Result AnswerHead::add(char c) {
  if (bad_ || ++total_ > kMaxHead) return Result::bad;
  if (c != '\n') {
    if (size_ < sizeof line_) {
      line_[size_++] = c;
    } else {
      cut_ = true;
    }
    return Result::more;
  }
  if (!cut_ && size_ > 0 && line_[size_ - 1] == '\r') size_--;
  if (size_ == 0 && begun_) return Result::done;
  bad_ = !line();
  size_ = 0;
  cut_ = false;
  return bad_ ? Result::bad : Result::more;
}

bool AnswerHead::line() {
  Text text(line_, size_);
  if (!begun_) {
    begun_ = true;
    return !cut_ && status_line(text);
  }
  const char *colon = static_cast<const char *>(memchr(line_, ':', size_));
  if (colon == nullptr || colon == line_) return false;
  Text name(line_, size_t(colon - line_));
  return name.consists_of(token) && header(name, trim(Text(colon + 1, size_ - name.size - 1)));
}

bool AnswerHead::status_line(Text line) {
  if (line.size < 12 || !(line.starts("HTTP/1.0 ") || line.starts("HTTP/1.1 "))) return false;
  if (line.size > 12 && line.data[12] != ' ') return false;
  int64_t status = number(Text(line.data + 9, 3));
  answer_.status = int(status);
  return status >= 200 && status <= 599;
}

bool AnswerHead::header(Text name, Text value) {
  if (is(name, "content-length")) return keep(value, &answer_.length);
  if (is(name, "transfer-encoding")) return false;
  if (is(name, "content-range")) return keep(value, answer_.range, sizeof answer_.range);
  if (is(name, "etag")) {
    // An image's is a digest, which the statement tells better.
    return (!cut_ && value.size >= sizeof answer_.etag) || keep(value, answer_.etag, sizeof answer_.etag);
  }
  if (is(name, "x-flota-poll")) return keep(value, answer_.poll, sizeof answer_.poll);
  if (is(name, "x-flota-mac")) return keep(value, answer_.mac, sizeof answer_.mac);
  if (is(name, "x-flota-clock")) return keep(value, &answer_.clock);
  if (is(name, "retry-after") && answer_.retry_after < 0) answer_.retry_after = number(value);
  return true;
}

bool AnswerHead::keep(Text value, char *to, size_t room) {
  if (cut_ || *to != 0 || value.size >= room || !value.consists_of(printable_ascii)) return false;
  copy(value, to, room);
  return true;
}

bool AnswerHead::keep(Text value, int64_t *to) {
  if (cut_ || *to >= 0) return false;
  *to = number(value);
  return *to >= 0;
}

}  // namespace flota
