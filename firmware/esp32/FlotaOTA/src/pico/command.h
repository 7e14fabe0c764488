// What arduino-pico's OTA bootloader is told: the file "otacommand.bin" in LittleFS, whose form is
// OTACmdPage (ota_command.h of arduino-pico). The bootloader is the first 12 KiB of every image. At
// each start, before anything else of the image, it looks for the file; where that is valid it copies the
// named file over the program, unpacked where it is gzip, sector by sector and only those that differ, then erases the
// block in which the command lies, and restarts.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace flota {

constexpr const char *kCommandFile = "otacommand.bin";
constexpr uint32_t kProgramAddress = 0x10000000;  // of the flash, in the memory

// OtaCommand copies one file over the program; little-endian, as the chip is.
struct OtaCommand {
  char sign[8];  // "Pico OTA"
  uint32_t count;
  struct {
    uint32_t command;  // 1: write
    char file[64];
    uint32_t offset, length, address;
  } writes[8];
  uint32_t crc;  // CRC-32 (IEEE 802.3) of everything before
};
static_assert(sizeof(OtaCommand) == 656, "as arduino-pico has it");

// ota_command tells to copy so many bytes of a file, from its beginning.
void ota_command(const char *file, uint32_t length, OtaCommand *command);

// ota_valid tells whether the bootloader goes by a command.
bool ota_valid(const OtaCommand &command);

}  // namespace flota
