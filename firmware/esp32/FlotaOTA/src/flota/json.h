// JSON (RFC 8259) without allocation: a pull parser that decodes strings in place,
// and a writer of flat objects.
#pragma once

#include "text.h"

namespace flota {

// Json reads one value out of a buffer, which it changes: strings are decoded where
// they stand, with a NUL behind them. Depth is at most 32.
//
//   Json json(buffer, size);
//   if (json.object()) {
//     for (Text name; json.member(&name);) {
//       if (name == "size") json.number(&size); else json.skip();
//     }
//   }
//   if (!json.finish()) …   // this is no JSON
//
// A value of another kind than was asked for is skipped, so that the rest can
// still be read; null counts as such a value.
class Json {
 public:
  enum class Kind : uint8_t { none, object, array, text, number, boolean, null };

  Json(char *text, size_t size) : at_(text), end_(text + size) {}

  Kind peek();                  // of the next value; none when it is broken
  bool object();                // enters an object
  bool member(Text *name);      // its next member; false after the last, or when broken
  bool array();                 // enters an array
  bool element();               // its next element; false after the last, or when broken
  bool text(Text *value);       // valid UTF-8
  bool number(int64_t *value);  // an integer, at most 2^53 either way, without fraction or exponent
  bool boolean(bool *value);
  void skip();
  bool broken() const { return broken_; }
  bool finish();  // the value was whole, and nothing but white space follows

 private:
  void space();
  bool expect(char c);
  bool literal(const char *word);
  bool fail();
  bool string(Text *value);
  bool escape(char **to);
  bool digits(int64_t *value, bool *integer);
  bool next(char closing);
  void scalar();

  char *at_;
  char *const end_;
  bool first_ = false;  // of the object or array that was entered last
  bool broken_ = false;
  uint8_t depth_ = 0;
};

// JsonObject writes one flat object. What does not fit makes it not ok.
class JsonObject {
 public:
  JsonObject(char *room, size_t size);
  JsonObject &add(const char *name, Text value);
  JsonObject &add(const char *name, const char *value) { return add(name, Text(value)); }
  JsonObject &add(const char *name, int64_t value);
  JsonObject &add(const char *name, bool value);
  // finish closes it and returns its length without the NUL behind it, or 0 when it did not fit.
  size_t finish();
  const char *text() const { return begin_; }

 private:
  void name(const char *name);
  void put(char c);
  void put(Text text);

  char *const begin_;
  char *at_;
  char *const end_;  // leaves room for a NUL
  bool ok_ = true;
};

// quote writes a text as a JSON string, without a NUL, and returns its length: at most 6 * size + 2.
size_t quote(Text text, char *room);

}  // namespace flota
