#include "Arduino_JSON.h"

const JSONVar undefined;
JSONClass JSON;

// --- Values

void JSONVar::clear() {
  while (JSONVar *child = first_) {
    first_ = child->next_;
    delete child;
  }
  last_ = nullptr;
  type_ = Undefined;
  number_ = 0;
  text_ = "";
}

// The key and the neighbours belong to the place, not to the value.
void JSONVar::swap(JSONVar &other) {
  std::swap(type_, other.type_);
  std::swap(number_, other.number_);
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  String text = static_cast<String &&>(text_);
  text_ = static_cast<String &&>(other.text_);
  other.text_ = static_cast<String &&>(text);
}

void JSONVar::copy(const JSONVar &other) {
  type_ = other.type_;
  number_ = other.number_;
  text_ = other.text_;
  for (JSONVar *child = other.first_; child; child = child->next_) {
    JSONVar *mine = add();
    mine->key_ = child->key_;
    mine->copy(*child);
  }
}

JSONVar &JSONVar::operator=(const JSONVar &other) {
  JSONVar copied(other);  // other may be a part of this
  swap(copied);
  return *this;
}

JSONVar &JSONVar::operator=(const char *value) {
  if (!value) return set(Null, 0);
  String text = value;  // which may be this one's own
  set(Text, 0);
  text_ = text;
  return *this;
}

JSONVar &JSONVar::set(Type type, double number) {
  clear();
  type_ = type;
  number_ = number;
  return *this;
}

JSONVar *JSONVar::add() {
  JSONVar *child = new JSONVar();
  if (last_) {
    last_->next_ = child;
  } else {
    first_ = child;
  }
  return last_ = child;
}

JSONVar &JSONVar::operator[](const char *key) {
  if (type_ != Object) set(Object, 0);
  for (JSONVar *child = first_; child; child = child->next_)
    if (child->key_ == key) return *child;
  JSONVar *child = add();
  child->key_ = key;
  return *child;
}

JSONVar &JSONVar::operator[](int index) {
  if (type_ != Array) set(Array, 0);
  if (index < 0 || index > 65535) index = 0;
  JSONVar *child = first_;
  for (int i = 0;; i++) {
    if (!child) child = add();
    if (i == index) return *child;
    child = child->next_;
  }
}

JSONVar &JSONVar::operator[](const JSONVar &key) {
  return key.type_ == Text ? (*this)[key.text_.c_str()] : (*this)[int(key.number_)];
}

bool JSONVar::operator==(const JSONVar &other) const {
  if (type_ != other.type_ || number_ != other.number_ || text_ != other.text_ || length() != other.length())
    return false;
  if (type_ == Object) {
    for (JSONVar *child = first_; child; child = child->next_) {
      if (child->type_ == Undefined) continue;
      JSONVar *its = other.first_;
      while (its && its->key_ != child->key_) its = its->next_;
      if (!its || !(*child == *its)) return false;
    }
    return true;
  }
  for (JSONVar *a = first_, *b = other.first_; a && b; a = a->next_, b = b->next_)
    if (!(*a == *b)) return false;
  return true;
}

bool JSONVar::hasOwnProperty(const char *key) const {
  if (type_ == Object)
    for (JSONVar *child = first_; child; child = child->next_)
      if (child->type_ != Undefined && child->key_ == key) return true;
  return false;
}

JSONVar JSONVar::keys() const {
  JSONVar names;
  names.set(Array, 0);
  if (type_ == Object)
    for (JSONVar *child = first_; child; child = child->next_)
      if (child->type_ != Undefined) *names.add() = child->key_;
  return names;
}

int JSONVar::length() const {
  if (type_ == Text) return text_.length();
  if (type_ != Array && type_ != Object) return -1;
  int n = 0;
  for (JSONVar *child = first_; child; child = child->next_) n += type_ == Array || child->type_ != Undefined;
  return n;
}

// --- Writing

static void write_text(Print &to, const String &text) {
  to.write('"');
  for (unsigned i = 0; i < text.length(); i++) {
    unsigned char c = text.charAt(i);
    const char *special = strchr("\"\\\b\f\n\r\t", c);
    if (c && special) {
      to.write('\\');
      to.write("\"\\bfnrt"[special - "\"\\\b\f\n\r\t"]);
    } else if (c < ' ') {
      to.printf("\\u%04x", c);
    } else {
      to.write(c);
    }
  }
  to.write('"');
}

static void write_number(Print &to, double number) {
  if (!isfinite(number)) {
    to.print("null");
  } else if (number == int64_t(number) && fabs(number) < 1e15) {
    to.print(int64_t(number));
  } else {
    char text[32];
    for (int digits = 7; digits <= 17; digits++) {
      snprintf(text, sizeof text, "%.*g", digits, number);
      if (strtod(text, nullptr) == number) break;
    }
    to.print(text);
  }
}

void JSONVar::write(Print &to) const {
  switch (type_) {
    case Undefined:
    case Null:
      to.print("null");
      break;
    case Boolean:
      to.print(number_ != 0 ? "true" : "false");
      break;
    case Number:
      write_number(to, number_);
      break;
    case Text:
      write_text(to, text_);
      break;
    case Array:
    case Object: {
      bool first = true;
      to.write(type_ == Array ? '[' : '{');
      for (JSONVar *child = first_; child; child = child->next_) {
        if (type_ == Object && child->type_ == Undefined) continue;
        if (!first) to.write(',');
        first = false;
        if (type_ == Object) {
          write_text(to, child->key_);
          to.write(':');
        }
        child->write(to);
      }
      to.write(type_ == Array ? ']' : '}');
    }
  }
}

size_t JSONVar::printTo(Print &to) const { return to.print(JSON.stringify(*this)); }

namespace {
class StringPrint : public Print {
 public:
  String text;
  size_t write(uint8_t c) override { return text += char(c), 1; }
};
}  // namespace

String JSONClass::stringify(const JSONVar &value) {
  if (value.type_ == JSONVar::Undefined) return "undefined";
  StringPrint to;
  value.write(to);
  return to.text;
}

String JSONClass::typeof(const JSONVar &value) {
  static const char *const names[] = {"undefined", "null", "boolean", "number", "string", "array", "object"};
  return names[value.type_];
}

// --- Reading (RFC 8259)

class JSONParser {
 public:
  explicit JSONParser(const char *text) : p_(text) {}
  bool value(JSONVar &to, int depth = 0);
  bool end() { return skip(), *p_ == 0; }

 private:
  void skip() { p_ += strspn(p_, " \t\r\n"); }
  bool word(const char *w) {
    size_t n = strlen(w);
    if (strncmp(p_, w, n) != 0) return false;
    p_ += n;
    return true;
  }
  bool is(char c) {
    skip();
    return *p_ == c ? (p_++, true) : false;
  }
  bool number(double &to);
  bool hex(unsigned &to);
  bool text(String &to);
  const char *p_;
};

bool JSONParser::number(double &to) {
  const char *start = p_, *p = p_;
  if (*p == '-') p++;
  if (*p == '0') {
    p++;
  } else {
    if (!isdigit((uint8_t)*p)) return false;
    while (isdigit((uint8_t)*p)) p++;
  }
  if (*p == '.') {
    if (!isdigit((uint8_t) * ++p)) return false;
    while (isdigit((uint8_t)*p)) p++;
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    if (!isdigit((uint8_t)*p)) return false;
    while (isdigit((uint8_t)*p)) p++;
  }
  to = strtod(start, nullptr);
  p_ = p;
  return true;
}

bool JSONParser::hex(unsigned &to) {
  to = 0;
  for (int i = 0; i < 4; i++, p_++) {
    if (!isxdigit((uint8_t)*p_)) return false;
    to = to * 16 + (isdigit((uint8_t)*p_) ? *p_ - '0' : (*p_ | 32) - 'a' + 10);
  }
  return true;
}

// After the first quote.
bool JSONParser::text(String &to) {
  to = "";
  while (*p_ != '"') {
    unsigned char c = *p_++;
    if (c < ' ') return false;
    if (c != '\\') {
      to += char(c);
      continue;
    }
    const char *plain = "\"\\/bfnrt", *found = *p_ ? strchr(plain, *p_) : nullptr;
    if (found) {
      to += "\"\\/\b\f\n\r\t"[found - plain];
      p_++;
      continue;
    }
    unsigned code, low;
    if (*p_++ != 'u' || !hex(code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      if (p_[0] != '\\' || p_[1] != 'u') return false;
      p_ += 2;
      if (!hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return false;
    }
    if (code < 0x80) {
      to += char(code);
    } else {
      if (code >= 0x10000) {
        to += char(0xF0 | code >> 18);
        to += char(0x80 | (code >> 12 & 63));
      } else if (code >= 0x800) {
        to += char(0xE0 | code >> 12);
      }
      to += char(code >= 0x800 ? 0x80 | (code >> 6 & 63) : 0xC0 | code >> 6);
      to += char(0x80 | (code & 63));
    }
  }
  p_++;
  return true;
}

bool JSONParser::value(JSONVar &to, int depth) {
  if (depth > 32) return false;
  skip();
  if (word("null")) return to.set(JSONVar::Null, 0), true;
  if (word("true")) return to.set(JSONVar::Boolean, 1), true;
  if (word("false")) return to.set(JSONVar::Boolean, 0), true;
  if (*p_ == '-' || isdigit((uint8_t)*p_)) {
    double n;
    return number(n) && (to.set(JSONVar::Number, n), true);
  }
  if (is('"')) {
    to.set(JSONVar::Text, 0);
    return text(to.text_);
  }
  if (is('[')) {
    to.set(JSONVar::Array, 0);
    if (is(']')) return true;
    do
      if (!value(*to.add(), depth + 1)) return false;
    while (is(','));
    return is(']');
  }
  if (is('{')) {
    to.set(JSONVar::Object, 0);
    if (is('}')) return true;
    do {
      String key;
      if (!is('"') || !text(key) || !is(':')) return false;
      if (!value(to[key], depth + 1)) return false;
    } while (is(','));
    return is('}');
  }
  return false;
}

JSONVar JSONClass::parse(const char *text) {
  JSONVar value;
  JSONParser parser(text ? text : "");
  if (!parser.value(value) || !parser.end()) return JSONVar();
  return value;
}
