// ESP-IDF's view of the flash and its slots.
#include <string.h>

#include "board.h"
#include "esp_ota_ops.h"

static const esp_partition_t *as_partition(const BoardPartition *p) {
  static esp_partition_t table[8];
  size_t count;
  const BoardPartition *all = board_partitions(&count);
  if (p < all || p >= all + count || p - all >= 8) return nullptr;
  esp_partition_t &e = table[p - all];
  e.type = esp_partition_type_t(p->type);
  e.subtype = esp_partition_subtype_t(p->subtype);
  e.address = p->offset;
  e.size = p->size;
  strncpy(e.label, p->label, sizeof e.label - 1);
  return &e;
}

static bool inside(const esp_partition_t *p, size_t offset, size_t size) {
  return offset <= p->size && size <= p->size - offset;
}

extern "C" {

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label) {
  size_t count;
  const BoardPartition *all = board_partitions(&count);
  for (size_t i = 0; i < count; i++)
    if (all[i].type == type && (subtype == ESP_PARTITION_SUBTYPE_ANY || all[i].subtype == subtype) &&
        (!label || strcmp(label, all[i].label) == 0))
      return as_partition(&all[i]);
  return nullptr;
}

esp_err_t esp_partition_read(const esp_partition_t *p, size_t offset, void *to, size_t size) {
  if (!inside(p, offset, size)) return ESP_ERR_INVALID_SIZE;
  return board_flash_read(p->address + offset, to, size) ? ESP_OK : ESP_FAIL;
}
esp_err_t esp_partition_write(const esp_partition_t *p, size_t offset, const void *from, size_t size) {
  if (!inside(p, offset, size)) return ESP_ERR_INVALID_SIZE;
  return board_flash_write(p->address + offset, from, size) ? ESP_OK : ESP_FAIL;
}
esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t offset, size_t size) {
  if (!inside(p, offset, size)) return ESP_ERR_INVALID_SIZE;
  return board_flash_erase(p->address + offset, size) ? ESP_OK : ESP_FAIL;
}

const esp_partition_t *esp_ota_get_running_partition() { return as_partition(board_running()); }
const esp_partition_t *esp_ota_get_next_update_partition(const esp_partition_t *) {
  return as_partition(board_other());
}
const esp_partition_t *esp_ota_get_boot_partition() {
  BoardOta other = board_ota_state(*board_other());
  return as_partition(other == BOARD_OTA_NEW ? board_other() : board_running());
}
esp_err_t esp_ota_set_boot_partition(const esp_partition_t *p) {
  const BoardPartition *slot = p ? board_partition(p->label) : nullptr;
  if (!slot || slot->type != 0) return ESP_ERR_INVALID_ARG;
  return board_ota_boot(*slot) ? ESP_OK : ESP_ERR_OTA_VALIDATE_FAILED;
}
esp_err_t esp_ota_get_state_partition(const esp_partition_t *p, esp_ota_img_states_t *state) {
  const BoardPartition *slot = p && state ? board_partition(p->label) : nullptr;
  if (!slot) return ESP_ERR_INVALID_ARG;
  BoardOta found = board_ota_state(*slot);
  if (found == BOARD_OTA_UNDEFINED) return ESP_ERR_NOT_FOUND;
  *state = esp_ota_img_states_t(found);
  return ESP_OK;
}
esp_err_t esp_ota_mark_app_valid_cancel_rollback() { return board_ota_confirm() ? ESP_OK : ESP_FAIL; }
esp_err_t esp_ota_mark_app_invalid_rollback_and_reboot() {
  if (!board_ota_revert()) return ESP_FAIL;
  board_restart();
}
bool esp_ota_check_rollback_is_possible() {
  BoardOta other = board_ota_state(*board_other());
  return board_image_size(*board_other()) > 0 && other != BOARD_OTA_INVALID && other != BOARD_OTA_ABORTED;
}
}
