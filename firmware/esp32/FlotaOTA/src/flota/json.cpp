#include "json.h"

#include "names.h"

namespace flota {

namespace {

constexpr uint8_t kMaxDepth = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool Json::fail() {
  broken_ = true;
  return false;
}

void Json::space() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) at_++;
}

bool Json::expect(char c) {
  space();
  if (broken_ || at_ == end_ || *at_ != c) return fail();
  at_++;
  return true;
}

Json::Kind Json::peek() {
  space();
  if (broken_ || at_ == end_) return Kind::none;
  switch (*at_) {
    case '{':
      return Kind::object;
    case '[':
      return Kind::array;
    case '"':
      return Kind::text;
    case 't':
    case 'f':
      return Kind::boolean;
    case 'n':
      return Kind::null;
    default:
      return *at_ == '-' || is_digit(*at_) ? Kind::number : Kind::none;
  }
}

bool Json::object() {
  if (peek() != Kind::object) {
    skip();
    return false;
  }
  if (++depth_ > kMaxDepth) return fail();
  at_++;
  first_ = true;
  return true;
}

bool Json::array() {
  if (peek() != Kind::array) {
    skip();
    return false;
  }
  if (++depth_ > kMaxDepth) return fail();
  at_++;
  first_ = true;
  return true;
}

// next goes to the next member or element, or behind the closing bracket.
bool Json::next(char closing) {
  space();
  if (broken_ || at_ == end_) return fail();
  bool first = first_;
  first_ = false;
  if (*at_ == closing) {
    at_++;
    depth_--;
    return false;
  }
  return first || expect(',');
}

bool Json::member(Text *name) { return next('}') && (space(), string(name)) && expect(':'); }

bool Json::element() { return next(']') && (peek() != Kind::none || fail()); }

bool Json::text(Text *value) {
  if (peek() == Kind::text) return string(value);
  skip();
  return false;
}

// string decodes in place: what is decoded is never longer than it was.
bool Json::string(Text *value) {
  if (broken_ || at_ == end_ || *at_ != '"') return fail();
  char *const begin = ++at_;
  char *to = begin;
  while (at_ < end_ && *at_ != '"') {
    if (uint8_t(*at_) < ' ') return fail();
    if (*at_ == '\\') {
      at_++;
      if (!escape(&to)) return fail();
    } else {
      *to++ = *at_++;
    }
  }
  if (at_ == end_) return fail();
  at_++;
  *to = 0;
  *value = Text(begin, size_t(to - begin));
  return valid_utf8(*value) || fail();
}

bool Json::escape(char **to) {
  if (at_ == end_) return false;
  char c = *at_++;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      break;
    case 'b':
      c = '\b';
      break;
    case 'f':
      c = '\f';
      break;
    case 'n':
      c = '\n';
      break;
    case 'r':
      c = '\r';
      break;
    case 't':
      c = '\t';
      break;
    case 'u': {
      uint32_t code = 0;
      for (int half = 0; half < 2; half++) {
        uint32_t unit = 0;
        if (end_ - at_ < 4) return false;
        for (int i = 0; i < 4; i++) {
          char d = *at_++;
          if (is_digit(d)) {
            unit = unit << 4 | uint32_t(d - '0');
          } else if ((d | 0x20) >= 'a' && (d | 0x20) <= 'f') {
            unit = unit << 4 | uint32_t((d | 0x20) - 'a' + 10);
          } else {
            return false;
          }
        }
        if (half == 0) {
          code = unit;
          if (unit < 0xd800 || unit > 0xdfff) break;
          // The first half of a pair (RFC 8259, section 7).
          if (unit > 0xdbff || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return false;
          at_ += 2;
        } else {
          if (unit < 0xdc00 || unit > 0xdfff) return false;
          code = 0x10000 + ((code - 0xd800) << 10 | (unit - 0xdc00));
        }
      }
      char *p = *to;
      if (code < 0x80) {
        *p++ = char(code);
      } else if (code < 0x800) {
        *p++ = char(0xc0 | code >> 6);
        *p++ = char(0x80 | (code & 0x3f));
      } else if (code < 0x10000) {
        *p++ = char(0xe0 | code >> 12);
        *p++ = char(0x80 | (code >> 6 & 0x3f));
        *p++ = char(0x80 | (code & 0x3f));
      } else {
        *p++ = char(0xf0 | code >> 18);
        *p++ = char(0x80 | (code >> 12 & 0x3f));
        *p++ = char(0x80 | (code >> 6 & 0x3f));
        *p++ = char(0x80 | (code & 0x3f));
      }
      *to = p;
      return true;
    }
    default:
      return false;
  }
  *(*to)++ = c;
  return true;
}

bool Json::number(int64_t *value) {
  if (peek() != Kind::number) {
    skip();
    return false;
  }
  bool integer = true;
  return digits(value, &integer) && integer;
}

bool Json::digits(int64_t *value, bool *integer) {
  bool negative = *at_ == '-';
  if (negative) at_++;
  if (at_ == end_ || !is_digit(*at_)) return fail();
  int64_t n = 0;
  bool zero = *at_ == '0';
  const char *begin = at_;
  for (; at_ < end_ && is_digit(*at_); at_++) {
    if (n <= kMaxNumber) n = n * 10 + (*at_ - '0');
  }
  if (zero && at_ - begin > 1) return fail();
  *integer = n <= kMaxNumber;
  if (at_ < end_ && *at_ == '.') {
    *integer = false;
    at_++;
    if (at_ == end_ || !is_digit(*at_)) return fail();
    while (at_ < end_ && is_digit(*at_)) at_++;
  }
  if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
    *integer = false;
    at_++;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) at_++;
    if (at_ == end_ || !is_digit(*at_)) return fail();
    while (at_ < end_ && is_digit(*at_)) at_++;
  }
  if (*integer) *value = negative ? -n : n;
  return true;
}

bool Json::literal(const char *word) {
  size_t n = strlen(word);
  if (size_t(end_ - at_) < n || memcmp(at_, word, n) != 0) return fail();
  at_ += n;
  return true;
}

bool Json::boolean(bool *value) {
  if (peek() != Kind::boolean) {
    skip();
    return false;
  }
  bool yes = *at_ == 't';
  if (!literal(yes ? "true" : "false")) return false;
  *value = yes;
  return true;
}

void Json::scalar() {
  Text text;
  int64_t value;
  bool flag;
  switch (peek()) {
    case Kind::text:
      string(&text);
      break;
    case Kind::number:
      digits(&value, &flag);
      break;
    case Kind::boolean:
      boolean(&flag);
      break;
    case Kind::null:
      literal("null");
      break;
    default:
      fail();
  }
}

void Json::skip() {
  uint32_t objects = 0;  // one bit for each level inside this value
  int level = 0;
  Text name;
  do {
    Kind kind = peek();
    if (kind == Kind::object || kind == Kind::array) {
      if (!(kind == Kind::object ? object() : array())) return;
      objects = objects << 1 | (kind == Kind::object);
      level++;
    } else {
      scalar();
    }
    while (level > 0 && !broken_ && !((objects & 1) ? member(&name) : element())) {
      objects >>= 1;
      level--;
    }
  } while (level > 0 && !broken_);
}

bool Json::finish() {
  space();
  return !broken_ && depth_ == 0 && at_ == end_;
}

JsonObject::JsonObject(char *room, size_t size) : begin_(room), at_(room), end_(room + size - 1) { put('{'); }

void JsonObject::put(char c) {
  if (at_ < end_) {
    *at_++ = c;
  } else {
    ok_ = false;
  }
}

void JsonObject::put(Text text) {
  for (size_t i = 0; i < text.size; i++) put(text.data[i]);
}

size_t quote(Text text, char *room) {
  char *at = room;
  *at++ = '"';
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (uint8_t(c) < ' ') {
      memcpy(at, "\\u00", 4);
      hex(reinterpret_cast<const uint8_t *>(&c), 1, at + 4);
      at += 6;
      continue;
    }
    if (c == '"' || c == '\\') *at++ = '\\';
    *at++ = c;
  }
  *at++ = '"';
  return size_t(at - room);
}

void JsonObject::name(const char *name) {
  if (at_ - begin_ > 1) put(',');
  put('"');
  put(Text(name));
  put("\":");
}

JsonObject &JsonObject::add(const char *field, Text value) {
  name(field);
  put('"');
  for (size_t i = 0; i < value.size; i++) {
    char character[8];
    size_t n = quote(Text(value.data + i, 1), character);
    put(Text(character + 1, n - 2));
  }
  put('"');
  return *this;
}

JsonObject &JsonObject::add(const char *field, int64_t value) {
  char text[21];
  name(field);
  put(Text(text, decimal(value, text)));
  return *this;
}

JsonObject &JsonObject::add(const char *field, bool value) {
  name(field);
  put(value ? "true" : "false");
  return *this;
}

size_t JsonObject::finish() {
  put('}');
  *at_ = 0;
  return ok_ ? size_t(at_ - begin_) : 0;
}

}  // namespace flota
