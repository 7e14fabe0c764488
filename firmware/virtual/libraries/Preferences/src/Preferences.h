#pragma once
#include <Arduino.h>

// Preferences keeps one file for each key in <FLOTA_NVS or ./nvs>/<namespace>/.
// A value is written aside and renamed, so that a cut leaves the old or the new.
class Preferences {
 public:
  bool begin(const char *name, bool readOnly = false);
  void end() { folder_ = ""; }
  bool clear();
  bool remove(const char *key);
  bool isKey(const char *key);

  size_t putBytes(const char *key, const void *value, size_t size);
  size_t getBytes(const char *key, void *to, size_t size);
  size_t getBytesLength(const char *key);
  size_t putString(const char *key, const char *value) { return putBytes(key, value, strlen(value)); }
  size_t putString(const char *key, const String &value) { return putBytes(key, value.c_str(), value.length()); }
  String getString(const char *key, const String &otherwise = String());

#define FLOTA_PREFERENCE(Name, Type)                                                                       \
  size_t put##Name(const char *key, Type value) { return putBytes(key, &value, sizeof value); }            \
  Type get##Name(const char *key, Type otherwise = 0) {                                                    \
    Type value;                                                                                            \
    return getBytesLength(key) == sizeof value && getBytes(key, &value, sizeof value) ? value : otherwise; \
  }
  FLOTA_PREFERENCE(Bool, bool)
  FLOTA_PREFERENCE(Char, int8_t)
  FLOTA_PREFERENCE(UChar, uint8_t)
  FLOTA_PREFERENCE(Short, int16_t)
  FLOTA_PREFERENCE(UShort, uint16_t)
  FLOTA_PREFERENCE(Int, int32_t)
  FLOTA_PREFERENCE(UInt, uint32_t)
  FLOTA_PREFERENCE(Long, int32_t)
  FLOTA_PREFERENCE(ULong, uint32_t)
  FLOTA_PREFERENCE(Long64, int64_t)
  FLOTA_PREFERENCE(ULong64, uint64_t)
  FLOTA_PREFERENCE(Float, float)
  FLOTA_PREFERENCE(Double, double)
#undef FLOTA_PREFERENCE

 private:
  // The path of a key's file; empty where there is none to be had.
  String path(const char *key);
  String folder_;
  bool readOnly_ = true;
};
