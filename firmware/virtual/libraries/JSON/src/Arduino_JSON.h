// JSON values, with the interface of the library Arduino_JSON.
#pragma once
#include <Arduino.h>

#define typeof typeof_  // a word of GNU C++, and of this interface

// JSONVar is one value with all that is in it. [] gives a member or an element and makes it, undefined,
// where there is none; what is undefined is not written. Copies are copies of everything.
class JSONVar : public Printable {
 public:
  JSONVar() {}
  JSONVar(const JSONVar &other) { copy(other); }
  JSONVar(JSONVar &&other) noexcept { swap(other); }
  JSONVar(bool value) : type_(Boolean), number_(value) {}
  JSONVar(const char *value) { *this = value; }
  JSONVar(const String &value) { *this = value; }
  JSONVar(decltype(nullptr)) : type_(Null) {}
  ~JSONVar() { clear(); }

  JSONVar &operator=(const JSONVar &other);
  JSONVar &operator=(JSONVar &&other) noexcept { return swap(other), *this; }
  JSONVar &operator=(const char *value);
  JSONVar &operator=(const String &value) { return *this = value.c_str(); }
  JSONVar &operator=(bool value) { return set(Boolean, value); }
  JSONVar &operator=(decltype(nullptr)) { return set(Null, 0); }

#define JSON_NUMBER(T)                                                            \
  JSONVar(T value) : type_(Number), number_(static_cast<double>(value)) {}        \
  JSONVar &operator=(T value) { return set(Number, static_cast<double>(value)); } \
  operator T() const { return static_cast<T>(number_); }
  JSON_NUMBER(char)
  JSON_NUMBER(unsigned char)
  JSON_NUMBER(short)
  JSON_NUMBER(unsigned short)
  JSON_NUMBER(int)
  JSON_NUMBER(unsigned int)
  JSON_NUMBER(long)
  JSON_NUMBER(unsigned long)
  JSON_NUMBER(long long)
  JSON_NUMBER(unsigned long long)
  JSON_NUMBER(float)
  JSON_NUMBER(double)
#undef JSON_NUMBER
  operator bool() const { return number_ != 0; }
  // nullptr where it is no string; it lives as long as the value does.
  operator const char *() const { return type_ == Text ? text_.c_str() : nullptr; }
  operator String() const { return type_ == Text ? text_ : String(); }

  JSONVar &operator[](const char *key);
  JSONVar &operator[](const String &key) { return (*this)[key.c_str()]; }
  JSONVar &operator[](int index);
  JSONVar &operator[](const JSONVar &key);  // a string or a number

  bool operator==(const JSONVar &other) const;
  bool operator!=(const JSONVar &other) const { return !(*this == other); }
  bool operator==(const char *text) const { return type_ == Text && text_ == text; }
  bool operator!=(const char *text) const { return !(*this == text); }

  bool hasOwnProperty(const char *key) const;
  bool hasOwnProperty(const String &key) const { return hasOwnProperty(key.c_str()); }
  JSONVar keys() const;
  int length() const;  // of an array, an object or a string; else -1
  size_t printTo(Print &to) const override;

 private:
  friend class JSONClass;
  friend class JSONParser;
  enum Type : uint8_t { Undefined, Null, Boolean, Number, Text, Array, Object };
  void clear();
  void copy(const JSONVar &other);
  void swap(JSONVar &other);
  JSONVar &set(Type type, double number);
  JSONVar *add();
  void write(Print &to) const;

  Type type_ = Undefined;
  double number_ = 0;
  String text_, key_;
  JSONVar *first_ = nullptr, *last_ = nullptr, *next_ = nullptr;
};

extern const JSONVar undefined;

class JSONClass {
 public:
  // undefined where text is no JSON, or is nested deeper than 32.
  JSONVar parse(const char *text);
  JSONVar parse(const String &text) { return parse(text.c_str()); }
  String stringify(const JSONVar &value);
  // "undefined", "null", "boolean", "number", "string", "array" or "object".
  String typeof(const JSONVar &value);
};

extern JSONClass JSON;
