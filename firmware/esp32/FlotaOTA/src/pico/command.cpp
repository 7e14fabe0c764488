#include "command.h"

#include <string.h>

namespace flota {

namespace {

constexpr char kSign[] = "Pico OTA";

uint32_t crc_of(const OtaCommand &command) {
  const uint8_t *at = reinterpret_cast<const uint8_t *>(&command), *end = at + offsetof(OtaCommand, crc);
  uint32_t crc = 0xFFFFFFFF;
  for (; at < end; at++) {
    crc ^= *at;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

}  // namespace

void ota_command(const char *file, uint32_t length, OtaCommand *command) {
  memset(command, 0, sizeof *command);
  memcpy(command->sign, kSign, sizeof command->sign);
  command->count = 1;
  command->writes[0].command = 1;
  strncpy(command->writes[0].file, file, sizeof command->writes[0].file - 1);
  command->writes[0].length = length;
  command->writes[0].address = kProgramAddress;
  command->crc = crc_of(*command);
}

bool ota_valid(const OtaCommand &command) {
  return memcmp(command.sign, kSign, sizeof command.sign) == 0 && command.count > 0 && command.crc == crc_of(command);
}

}  // namespace flota
