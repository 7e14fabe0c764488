#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "slots.h"

#include <esp_image_format.h>
#include <esp_ota_ops.h>
#include <sdkconfig.h>
#include <string.h>

#include "../mbedtls/crypto.h"
#include "otadata.h"

namespace flota {

namespace {

constexpr const char *kBootloader = "t.bootloader";  // one byte: 1 where it rolls back
constexpr uint32_t kSector = 4096;

#if defined(CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE)
constexpr bool kSdkRollsBack = true;
#else
constexpr bool kSdkRollsBack = false;
#endif

// nullptr where the partition scheme has only one slot.
const esp_partition_t *other() {
  const esp_partition_t *running = esp_ota_get_running_partition();
  const esp_partition_t *next = esp_ota_get_next_update_partition(nullptr);
  return next != running ? next : nullptr;
}

bool within(const esp_partition_t *slot, uint32_t offset, size_t size) {
  return slot != nullptr && offset <= slot->size && size <= slot->size - offset;
}

const esp_partition_t *otadata() {
  return esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_OTA, nullptr);
}

// active reads both entries and tells by which the bootloader goes; -1 where there is none.
int active(const esp_partition_t *partition, OtaEntry entries[2]) {
  for (int i = 0; partition != nullptr && i < 2; i++) {
    if (esp_partition_read(partition, size_t(i) * kSector, &entries[i], sizeof entries[i]) != ESP_OK) return -1;
  }
  return partition != nullptr ? ota_active(entries) : -1;
}

const esp_partition_t *app(esp_partition_subtype_t subtype) {
  return esp_partition_find_first(ESP_PARTITION_TYPE_APP, subtype, nullptr);
}

// left_with is what the bootloader starts where only this entry is left: its slot, else
// the factory image, else the first slot.
const esp_partition_t *left_with(const OtaEntry &entry) {
  int slots = esp_ota_get_app_partition_count();
  if (ota_valid(entry) && slots > 0) {
    return app(esp_partition_subtype_t(ESP_PARTITION_SUBTYPE_APP_OTA_MIN + (entry.seq - 1) % uint32_t(slots)));
  }
  const esp_partition_t *factory = app(ESP_PARTITION_SUBTYPE_APP_FACTORY);
  return factory != nullptr ? factory : app(ESP_PARTITION_SUBTYPE_APP_OTA_0);
}

bool starts(const esp_partition_t *slot, esp_image_metadata_t *image) {
  esp_partition_pos_t place = {slot->address, slot->size};
  memset(image, 0, sizeof *image);
  return esp_image_verify(ESP_IMAGE_VERIFY_SILENT, &place, image) == ESP_OK;
}

}  // namespace

uint32_t EspSlots::size() {
  const esp_partition_t *slot = other();
  return slot != nullptr ? slot->size : 0;
}

// The file that was flashed: header, segments, checksum, appended digest. Read once.
bool EspSlots::running(uint8_t digest[32]) {
  if (!known_) {
    const esp_partition_t *slot = esp_ota_get_running_partition();
    esp_image_metadata_t image = {};
    esp_partition_pos_t place = {slot->address, slot->size};
    if (esp_image_get_metadata(&place, &image) != ESP_OK || image.image_len > slot->size) return false;
    MbedtlsCrypto crypto;
    crypto.sha256_begin();
    uint8_t data[512];
    for (uint32_t at = 0; at < image.image_len;) {
      uint32_t left = image.image_len - at, n = left < sizeof data ? left : uint32_t(sizeof data);
      if (esp_partition_read(slot, at, data, n) != ESP_OK) return false;
      crypto.sha256_add(data, n);
      at += n;
    }
    crypto.sha256_end(digest_);
    known_ = true;
  }
  memcpy(digest, digest_, sizeof digest_);
  return true;
}

bool EspSlots::erase(uint32_t offset, uint32_t length) {
  const esp_partition_t *slot = other();
  return within(slot, offset, length) && esp_partition_erase_range(slot, offset, length) == ESP_OK;
}

bool EspSlots::write(uint32_t offset, const uint8_t *data, size_t size) {
  const esp_partition_t *slot = other();
  if (!within(slot, offset, size)) return false;
  // Encrypted flash is written in blocks of 16; only the end of an image is none.
  size_t tail = slot->encrypted ? size % 16 : 0;
  if (size > tail && esp_partition_write(slot, offset, data, size - tail) != ESP_OK) return false;
  if (tail == 0) return true;
  uint8_t block[16];
  memset(block, 0xFF, sizeof block);
  memcpy(block, data + size - tail, tail);
  return within(slot, offset, size - tail + sizeof block) &&
         esp_partition_write(slot, offset + size - tail, block, sizeof block) == ESP_OK;
}

bool EspSlots::read(uint32_t offset, uint8_t *data, size_t size) {
  const esp_partition_t *slot = other();
  return within(slot, offset, size) && esp_partition_read(slot, offset, data, size) == ESP_OK;
}

// The form, the checksum, the appended digest, and the chip (bootloader_common_check_chip_validity).
// Nothing may follow: running() would give another digest than the statement's, and the same
// image would be fetched again and again.
bool EspSlots::acceptable(uint32_t length) {
  const esp_partition_t *slot = other();
  if (slot == nullptr) return false;
  esp_image_metadata_t image;
  return starts(slot, &image) && image.image_len == length && image.image.chip_id == CONFIG_IDF_FIRMWARE_CHIP_ID;
}

bool EspSlots::activate() {
  const esp_partition_t *slot = other();
  if (slot == nullptr || esp_ota_set_boot_partition(slot) != ESP_OK) return false;
  // An SDK without rollback leaves the state undefined. The bootloader may know better than
  // the SDK (the first flash writes one that does), and one that does not ignores the state:
  // so the image is marked new, which in NOR flash clears bits and needs no erasing.
  const esp_partition_t *partition = otadata();
  OtaEntry entries[2];
  int which = active(partition, entries);
  if (which >= 0 && entries[which].state == kOtaUndefined && !partition->encrypted) {
    uint32_t state = kOtaNew;
    esp_partition_write(partition, size_t(which) * kSector + offsetof(OtaEntry, state), &state, sizeof state);
  }
  return true;
}

// observe looks at what the bootloader made of the image that runs, once: a new one is
// pending where it rolls back, and still new where it does not.
void EspSlots::observe() {
  if (observed_) return;
  observed_ = true;
  uint8_t known;
  bool remembered = storage_.get(kBootloader, &known, sizeof known) == sizeof known;
  rolls_back_ = remembered ? known == 1 : kSdkRollsBack;
  esp_ota_img_states_t state;
  if (esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) != ESP_OK) return;
  if (state != ESP_OTA_IMG_PENDING_VERIFY && state != ESP_OTA_IMG_NEW) return;
  trial_ = Trial::pending;
  rolls_back_ = state == ESP_OTA_IMG_PENDING_VERIFY;
  uint8_t now = rolls_back_ ? 1 : 0;
  if (!remembered || known != now) storage_.put(kBootloader, &now, sizeof now);
}

Trial EspSlots::trial() {
  observe();
  return trial_;
}

bool EspSlots::rolls_back() {
  observe();
  return rolls_back_;
}

bool EspSlots::confirm() {
  if (esp_ota_mark_app_valid_cancel_rollback() != ESP_OK) return false;
  trial_ = Trial::none;
  return true;
}

// Without the entry of the image that runs, every bootloader goes by the other one, or
// starts the first slot where there is none. Erasing is one step: whenever the power goes,
// either it is done or it is not. (Setting the boot partition would put the old image on trial.)
bool EspSlots::revert() {
  const esp_partition_t *partition = otadata();
  OtaEntry entries[2];
  int which = active(partition, entries);
  if (which < 0) return false;
  const esp_partition_t *old = left_with(entries[1 - which]);
  esp_image_metadata_t image;
  if (old == nullptr || old == esp_ota_get_running_partition() || !starts(old, &image)) return false;
  return esp_partition_erase_range(partition, size_t(which) * kSector, kSector) == ESP_OK;
}

}  // namespace flota

#endif
