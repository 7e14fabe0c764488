#include "records.h"

namespace flota {

namespace {

constexpr uint8_t kForm = 1;  // of all records; another is like none

// Writer and Reader: a record's fields in their order, little-endian.
class Writer {
 public:
  Writer() { number(kForm, 1); }
  void number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) room_[size_++] = uint8_t(value >> (8 * i));
  }
  void release(const Release &r) {
    number(uint64_t(r.deployment), 8);
    number(uint64_t(r.security_version), 8);
    number(r.size, 4);
    memcpy(room_ + size_, r.sha256, kDigest);
    size_ += kDigest;
    size_t length = strlen(r.version);
    number(length, 1);
    memcpy(room_ + size_, r.version, length);
    size_ += length;
  }
  bool put(Storage &storage, const char *key) const { return storage.put(key, room_, size_); }

 private:
  uint8_t room_[160];
  size_t size_ = 0;
};

class Reader {
 public:
  Reader(Storage &storage, const char *key) {
    int size = storage.get(key, room_, sizeof room_);
    size_ = size > 0 ? size_t(size) : 0;
    good_ = number(1) == kForm;
  }
  uint64_t number(size_t bytes) {
    if (size_ - at_ < bytes) {
      good_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= uint64_t(room_[at_++]) << (8 * i);
    return value;
  }
  void release(Release *r) {
    r->deployment = protocol_number();
    r->security_version = protocol_number();
    r->size = uint32_t(number(4));
    for (uint8_t &byte : r->sha256) byte = uint8_t(number(1));
    size_t length = size_t(number(1));
    if (!good_ || length > kMaxText || length > size_ - at_) {
      good_ = false;
      return;
    }
    printable(Text(reinterpret_cast<const char *>(room_) + at_, length), r->version, sizeof r->version);
    at_ += length;
  }
  bool finish() const { return good_ && at_ == size_; }

 private:
  int64_t protocol_number() {
    uint64_t value = number(8);
    if (value > uint64_t(kMaxNumber)) good_ = false;
    return int64_t(value);
  }

  uint8_t room_[160];
  size_t size_ = 0;
  size_t at_ = 0;
  bool good_ = true;
};

}  // namespace

int64_t get_number(Storage &storage, const char *key) {
  uint8_t bytes[8];
  if (storage.get(key, bytes, sizeof bytes) != int(sizeof bytes)) return 0;
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
  return value <= uint64_t(kMaxNumber) ? int64_t(value) : 0;
}

bool put_number(Storage &storage, const char *key, int64_t number) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = uint8_t(uint64_t(number) >> (8 * i));
  return storage.put(key, bytes, sizeof bytes);
}

bool Fetch::load(Storage &storage) {
  Reader in(storage, key::fetch);
  in.release(&release);
  failed = uint8_t(in.number(1));
  return in.finish() && release.size > 0;
}

bool Fetch::save(Storage &storage) const {
  Writer out;
  out.release(release);
  out.number(failed, 1);
  return out.put(storage, key::fetch);
}

uint32_t get_offset(Storage &storage) {
  int64_t offset = get_number(storage, key::offset);
  return offset <= INT32_MAX ? uint32_t(offset) : 0;
}

bool put_offset(Storage &storage, uint32_t offset) { return put_number(storage, key::offset, offset); }

bool Candidate::load(Storage &storage) {
  Reader in(storage, key::trial);
  in.release(&release);
  uint8_t s = uint8_t(in.number(1)), c = uint8_t(in.number(1));
  tries = uint8_t(in.number(1));
  losses = uint8_t(in.number(1));
  starts = uint8_t(in.number(1));
  skips = uint16_t(in.number(2));
  if (!in.finish() || s < uint8_t(Stage::applying) || s > uint8_t(Stage::waiting) || c >= kReasons) return false;
  stage = Stage(s);
  cause = Reason(c);
  return true;
}

bool Candidate::save(Storage &storage) const {
  Writer out;
  out.release(release);
  out.number(uint8_t(stage), 1);
  out.number(uint8_t(cause), 1);
  out.number(tries, 1);
  out.number(losses, 1);
  out.number(starts, 1);
  out.number(skips, 2);
  return out.put(storage, key::trial);
}

bool get_running(Storage &storage, Release *release) {
  Reader in(storage, key::running);
  in.release(release);
  return in.finish();
}

bool put_running(Storage &storage, const Release &release) {
  Writer out;
  out.release(release);
  return out.put(storage, key::running);
}

}  // namespace flota
