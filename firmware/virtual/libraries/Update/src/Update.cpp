#include "Update.h"

#include <board.h>
#include <esp_ota_ops.h>

UpdateClass Update;

bool UpdateClass::begin(size_t size, int command, int, uint8_t, const char *) {
  if (isRunning()) return false;
  error_ = UPDATE_ERROR_OK;
  expected_ = "";
  buffered_ = at_ = 0;
  if (size == 0) return stop(UPDATE_ERROR_SIZE);
  if (command != U_FLASH) return stop(UPDATE_ERROR_NO_PARTITION);
  size_t room = board_other()->size;
  if (size == UPDATE_SIZE_UNKNOWN) size = room;
  if (size > room) return stop(UPDATE_ERROR_SPACE);
  md5_.begin();
  size_ = size;
  return true;
}

bool UpdateClass::stop(uint8_t error) {
  error_ = error;
  size_ = at_ = buffered_ = 0;
  return false;
}

bool UpdateClass::setMD5(const char *expected) {
  if (strlen(expected) != 32) return false;
  expected_ = expected;
  expected_.toLowerCase();
  return true;
}

// Writes what is buffered, a whole sector but for the last.
bool UpdateClass::flush() {
  uint32_t to = board_other()->offset + at_;
  size_t skip = 0;
  if (at_ == 0) {
    if (buffer_[0] != 0xE9) return stop(UPDATE_ERROR_MAGIC_BYTE);
    skip = buffered_ < sizeof head_ ? buffered_ : sizeof head_;
    memcpy(head_, buffer_, skip);
    if (progress_) progress_(0, size_);
  }
  if (!board_flash_erase(to, sizeof buffer_)) return stop(UPDATE_ERROR_ERASE);
  if (!board_flash_write(to + skip, buffer_ + skip, buffered_ - skip)) return stop(UPDATE_ERROR_WRITE);
  md5_.add(buffer_, buffered_);
  at_ += buffered_;
  buffered_ = 0;
  if (progress_) progress_(at_, size_);
  return true;
}

size_t UpdateClass::write(uint8_t *data, size_t size) {
  if (hasError() || !isRunning()) return 0;
  if (size > size_ - at_ - buffered_) return stop(UPDATE_ERROR_SPACE), 0;
  for (size_t left = size; left;) {
    size_t n = sizeof buffer_ - buffered_ < left ? sizeof buffer_ - buffered_ : left;
    memcpy(buffer_ + buffered_, data, n);
    buffered_ += n, data += n, left -= n;
    if ((buffered_ == sizeof buffer_ || at_ + buffered_ == size_) && !flush()) return size - left;
  }
  return size;
}

size_t UpdateClass::writeStream(Stream &data) {
  if (hasError() || !isRunning()) return 0;
  uint8_t part[1024];
  size_t sum = 0;
  while (at_ + buffered_ < size_) {
    size_t want = size_ - at_ - buffered_, n = data.readBytes(part, want < sizeof part ? want : sizeof part);
    if (n == 0) return stop(UPDATE_ERROR_STREAM), sum;
    sum += n;
    if (write(part, n) != n) return sum;
  }
  return sum;
}

bool UpdateClass::end(bool evenIfRemaining) {
  if (hasError() || !isRunning()) return false;
  if (at_ + buffered_ < size_ && !evenIfRemaining) return stop(UPDATE_ERROR_ABORT);
  if (buffered_ && !flush()) return false;
  size_ = at_;
  md5_.calculate();
  if (!expected_.isEmpty() && md5_.toString() != expected_) return stop(UPDATE_ERROR_MD5);
  if (at_ < sizeof head_ || !board_flash_write(board_other()->offset, head_, sizeof head_))
    return stop(UPDATE_ERROR_WRITE);
  if (!board_ota_boot(*board_other())) return stop(UPDATE_ERROR_ACTIVATE);
  size_ = at_ = 0;
  return true;
}

bool UpdateClass::canRollBack() { return !isRunning() && esp_ota_check_rollback_is_possible(); }
bool UpdateClass::rollBack() { return canRollBack() && board_ota_boot(*board_other()); }

const char *UpdateClass::errorString() const {
  static const char *const texts[] = {"No Error",
                                      "Flash Write Failed",
                                      "Flash Erase Failed",
                                      "Flash Read Failed",
                                      "Not Enough Space",
                                      "Bad Size Given",
                                      "Stream Read Timeout",
                                      "MD5 Check Failed",
                                      "Wrong Magic Byte",
                                      "Could Not Activate The Firmware",
                                      "Partition Could Not be Found",
                                      "Bad Argument",
                                      "Aborted"};
  return error_ < sizeof texts / sizeof *texts ? texts[error_] : "UNKNOWN";
}
