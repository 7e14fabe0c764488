#pragma once
#include <Arduino.h>

// EEPROM is a piece of memory that commit() keeps, in the non-volatile storage.
class EEPROMClass {
 public:
  explicit EEPROMClass(const char *name = "eeprom") : name_(name) {}
  ~EEPROMClass() { free(data_); }
  bool begin(size_t size);
  bool commit();
  void end();
  size_t length() const { return size_; }

  uint8_t read(int address) const { return inside(address, 1) ? data_[address] : 0; }
  void write(int address, uint8_t value) { writeBytes(address, &value, 1); }
  void update(int address, uint8_t value) { write(address, value); }
  uint8_t operator[](int address) const { return read(address); }
  uint8_t *getDataPtr() { return dirty_ = true, data_; }

  template <typename T>
  T &get(int address, T &value) const {
    if (inside(address, sizeof(T))) memcpy((void *)&value, data_ + address, sizeof(T));
    return value;
  }
  template <typename T>
  const T &put(int address, const T &value) {
    writeBytes(address, &value, sizeof(T));
    return value;
  }
  size_t readBytes(int address, void *to, size_t size) const;
  size_t writeBytes(int address, const void *from, size_t size);
  size_t writeString(int address, const char *text);
  size_t writeString(int address, const String &text) { return writeString(address, text.c_str()); }
  String readString(int address) const;

#define EEPROM_VALUE(Name, Type)       \
  Type read##Name(int address) const { \
    Type value = 0;                    \
    return get(address, value);        \
  }                                    \
  size_t write##Name(int address, Type value) { return writeBytes(address, &value, sizeof value); }
  EEPROM_VALUE(Byte, uint8_t)
  EEPROM_VALUE(Char, int8_t)
  EEPROM_VALUE(UChar, uint8_t)
  EEPROM_VALUE(Short, int16_t)
  EEPROM_VALUE(UShort, uint16_t)
  EEPROM_VALUE(Int, int32_t)
  EEPROM_VALUE(UInt, uint32_t)
  EEPROM_VALUE(Long, int32_t)
  EEPROM_VALUE(ULong, uint32_t)
  EEPROM_VALUE(Long64, int64_t)
  EEPROM_VALUE(ULong64, uint64_t)
  EEPROM_VALUE(Float, float)
  EEPROM_VALUE(Double, double)
  EEPROM_VALUE(Bool, bool)
#undef EEPROM_VALUE

 private:
  bool inside(int address, size_t size) const { return data_ && address >= 0 && size_t(address) + size <= size_; }
  const char *name_;
  uint8_t *data_ = nullptr;
  size_t size_ = 0;
  bool dirty_ = false;
};

extern EEPROMClass EEPROM;
