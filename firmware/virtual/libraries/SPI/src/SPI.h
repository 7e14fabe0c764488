#pragma once
#include <Arduino.h>

#define SPI_MODE0 0
#define SPI_MODE1 1
#define SPI_MODE2 2
#define SPI_MODE3 3
#define SPI_LSBFIRST 0
#define SPI_MSBFIRST 1
#define SPI_CLOCK_DIV2 2
#define SPI_CLOCK_DIV4 4
#define SPI_CLOCK_DIV8 8
#define SPI_CLOCK_DIV16 16
#define VSPI 3
#define HSPI 2
#define FSPI 1

class SPISettings {
 public:
  SPISettings(uint32_t hz = 1000000, uint8_t order = MSBFIRST, uint8_t mode = SPI_MODE0) {
    (void)hz, (void)order, (void)mode;
  }
};

// SPIClass is an SPI bus with nothing connected: the line reads high.
class SPIClass {
 public:
  explicit SPIClass(uint8_t bus = VSPI) { (void)bus; }
  bool begin(int8_t = -1, int8_t = -1, int8_t = -1, int8_t = -1) { return true; }
  void end() {}
  void beginTransaction(const SPISettings &) {}
  void endTransaction() {}
  void setFrequency(uint32_t) {}
  void setClockDivider(uint32_t) {}
  void setBitOrder(uint8_t) {}
  void setDataMode(uint8_t) {}
  void setHwCs(bool) {}
  uint8_t transfer(uint8_t) { return 0xFF; }
  uint16_t transfer16(uint16_t) { return 0xFFFF; }
  uint32_t transfer32(uint32_t) { return 0xFFFFFFFF; }
  void transfer(void *data, uint32_t size) { memset(data, 0xFF, size); }
  void transferBytes(const uint8_t *, uint8_t *out, uint32_t size) {
    if (out) memset(out, 0xFF, size);
  }
  void write(uint8_t) {}
  void write16(uint16_t) {}
  void write32(uint32_t) {}
  void writeBytes(const uint8_t *, uint32_t) {}
};

extern SPIClass SPI;
