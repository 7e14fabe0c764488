#pragma once
#include <Arduino.h>

typedef enum {
  PT_I8,
  PT_U8,
  PT_I16,
  PT_U16,
  PT_I32,
  PT_U32,
  PT_I64,
  PT_U64,
  PT_STR,
  PT_BLOB,
  PT_INVALID
} PreferenceType;

// Preferences keeps values in a namespace of the board's non-volatile storage. Names and
// keys have at most 15 characters. A value of another type than was put reads as the default.
class Preferences {
 public:
  bool begin(const char *name, bool readOnly = false, const char *partition = nullptr);
  void end() { space_[0] = 0; }
  bool clear();
  bool remove(const char *key);
  bool isKey(const char *key) { return getType(key) != PT_INVALID; }
  PreferenceType getType(const char *key);
  size_t freeEntries();

  // Each put gives the bytes that were kept, 0 when they could not be.
  size_t putBytes(const char *key, const void *value, size_t size) { return put(key, 'b', value, size); }
  size_t getBytes(const char *key, void *to, size_t room);
  size_t getBytesLength(const char *key) { return length(key, 'b'); }
  size_t putString(const char *key, const char *value) { return put(key, 's', value, strlen(value)); }
  size_t putString(const char *key, const String &value) { return put(key, 's', value.c_str(), value.length()); }
  String getString(const char *key, const String &otherwise = String());
  // With room for the 0; gives the length with it, 0 when it does not fit.
  size_t getString(const char *key, char *to, size_t room);

#define PREFERENCE(Name, Type, Kind)                                                             \
  size_t put##Name(const char *key, Type value) { return put(key, Kind, &value, sizeof value); } \
  Type get##Name(const char *key, Type otherwise = 0) {                                          \
    get(key, Kind, &otherwise, sizeof otherwise);                                                \
    return otherwise;                                                                            \
  }
  PREFERENCE(Char, int8_t, 'i')
  PREFERENCE(UChar, uint8_t, 'u')
  PREFERENCE(Short, int16_t, 'i')
  PREFERENCE(UShort, uint16_t, 'u')
  PREFERENCE(Int, int32_t, 'i')
  PREFERENCE(UInt, uint32_t, 'u')
  PREFERENCE(Long, int32_t, 'i')
  PREFERENCE(ULong, uint32_t, 'u')
  PREFERENCE(Long64, int64_t, 'i')
  PREFERENCE(ULong64, uint64_t, 'u')
  PREFERENCE(Float, float, 'b')
  PREFERENCE(Double, double, 'b')
#undef PREFERENCE
  size_t putBool(const char *key, bool value) { return putUChar(key, value); }
  bool getBool(const char *key, bool otherwise = false) { return getUChar(key, otherwise) == 1; }

 private:
  size_t put(const char *key, char type, const void *value, size_t size);
  bool get(const char *key, char type, void *value, size_t size);
  size_t length(const char *key, char type);
  char space_[16] = "";
  bool read_only_ = true;
};
