#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

class __FlashStringHelper;
#define FPSTR(p) (reinterpret_cast<const __FlashStringHelper *>(p))
#define F(s) (FPSTR(PSTR(s)))

// String is Arduino's: a growing array of characters. Where memory runs out it
// keeps what it had and says so (concat, reserve), or is empty.
class String {
 public:
  String(const char *s = "");
  String(const char *s, unsigned int length);
  String(const String &other);
  String(String &&other) noexcept;
  String(const __FlashStringHelper *s);
  String(const uint8_t *s, unsigned int length) : String(reinterpret_cast<const char *>(s), length) {}
  explicit String(char c);
  explicit String(unsigned char value, unsigned char base = 10);
  explicit String(int value, unsigned char base = 10);
  explicit String(unsigned int value, unsigned char base = 10);
  explicit String(long value, unsigned char base = 10);
  explicit String(unsigned long value, unsigned char base = 10);
  explicit String(long long value, unsigned char base = 10);
  explicit String(unsigned long long value, unsigned char base = 10);
  explicit String(float value, unsigned int places = 2);
  explicit String(double value, unsigned int places = 2);
  ~String();

  String &operator=(const String &other);
  String &operator=(String &&other) noexcept;
  String &operator=(const char *s);
  String &operator=(const __FlashStringHelper *s) { return *this = reinterpret_cast<const char *>(s); }
  String &operator=(char c) {
    const char text[2] = {c, 0};
    return *this = text;
  }

  bool reserve(unsigned int size);
  unsigned int length() const { return length_; }
  bool isEmpty() const { return length_ == 0; }
  void clear();
  explicit operator bool() const { return buffer_ != nullptr; }
  const char *c_str() const { return buffer_ ? buffer_ : ""; }

  bool concat(const char *s, unsigned int length);
  bool concat(const uint8_t *s, unsigned int length) { return concat(reinterpret_cast<const char *>(s), length); }
  bool concat(const char *s) { return s && concat(s, strlen(s)); }
  bool concat(const String &s) { return concat(s.c_str(), s.length_); }
  bool concat(const __FlashStringHelper *s) { return concat(reinterpret_cast<const char *>(s)); }
  bool concat(char c) { return concat(&c, 1); }
  template <typename T>
  bool concat(T value) {
    return concat(String(value));
  }
  template <typename T>
  String &operator+=(const T &value) {
    concat(value);
    return *this;
  }

  int compareTo(const String &s) const { return strcmp(c_str(), s.c_str()); }
  bool equals(const String &s) const { return length_ == s.length_ && compareTo(s) == 0; }
  bool equals(const char *s) const { return strcmp(c_str(), s ? s : "") == 0; }
  bool equalsIgnoreCase(const String &s) const;
  bool startsWith(const String &prefix, unsigned int from = 0) const;
  bool endsWith(const String &suffix) const;
  // Takes as long whatever the difference is.
  bool equalsConstantTime(const String &s) const;

  char charAt(unsigned int i) const { return i < length_ ? buffer_[i] : 0; }
  void setCharAt(unsigned int i, char c) {
    if (i < length_) buffer_[i] = c;
  }
  char operator[](unsigned int i) const { return charAt(i); }
  char &operator[](unsigned int i);
  const char *begin() const { return c_str(); }
  const char *end() const { return c_str() + length_; }
  char *begin() { return buffer_; }
  char *end() { return buffer_ + length_; }
  void getBytes(unsigned char *to, unsigned int size, unsigned int from = 0) const;
  void toCharArray(char *to, unsigned int size, unsigned int from = 0) const {
    getBytes(reinterpret_cast<unsigned char *>(to), size, from);
  }

  int indexOf(char c, unsigned int from = 0) const;
  int indexOf(const String &s, unsigned int from = 0) const;
  int lastIndexOf(char c) const { return lastIndexOf(c, length_); }
  int lastIndexOf(char c, unsigned int from) const;
  int lastIndexOf(const String &s) const { return lastIndexOf(s, length_); }
  int lastIndexOf(const String &s, unsigned int from) const;
  String substring(unsigned int from) const { return substring(from, length_); }
  String substring(unsigned int from, unsigned int to) const;

  void replace(char from, char to);
  void replace(const String &from, const String &to);
  void remove(unsigned int from, unsigned int count = UINT32_MAX);
  void toLowerCase();
  void toUpperCase();
  void trim();

  long toInt() const;
  float toFloat() const { return toDouble(); }
  double toDouble() const;

 private:
  char *buffer_ = nullptr;
  unsigned int length_ = 0;
  unsigned int capacity_ = 0;
};

extern const String emptyString;

template <typename T>
inline String operator+(const String &a, const T &b) {
  String sum(a);
  sum += b;
  return sum;
}
inline String operator+(const char *a, const String &b) {
  String sum(a);
  sum += b;
  return sum;
}
inline bool operator==(const String &a, const String &b) { return a.equals(b); }
inline bool operator==(const String &a, const char *b) { return a.equals(b); }
inline bool operator==(const char *a, const String &b) { return b.equals(a); }
inline bool operator!=(const String &a, const String &b) { return !a.equals(b); }
inline bool operator!=(const String &a, const char *b) { return !a.equals(b); }
inline bool operator!=(const char *a, const String &b) { return !b.equals(a); }
inline bool operator<(const String &a, const String &b) { return a.compareTo(b) < 0; }
inline bool operator>(const String &a, const String &b) { return a.compareTo(b) > 0; }
inline bool operator<=(const String &a, const String &b) { return a.compareTo(b) <= 0; }
inline bool operator>=(const String &a, const String &b) { return a.compareTo(b) >= 0; }
