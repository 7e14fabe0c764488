#include "download.h"

#include "timing.h"

namespace flota {

Reason holds(Machine &machine, uint8_t *room, size_t size, const Release &release) {
  machine.crypto.sha256_begin();
  for (uint32_t offset = 0; offset < release.size;) {
    uint32_t left = release.size - offset;
    size_t n = left < size ? left : size;
    if (!machine.slots.read(offset, room, n)) return Reason::storage;
    machine.crypto.sha256_add(room, n);
    offset += uint32_t(n);
    machine.board.feed();
  }
  uint8_t digest[kDigest];
  machine.crypto.sha256_end(digest);
  return memcmp(digest, release.sha256, kDigest) == 0 ? Reason::none : Reason::digest;
}

void Download::load() {
  active_ = fetch_.load(machine_.storage);
  complete_ = false;
  uint32_t size = fetch_.release.size, slot = machine_.slots.size();
  offset_ = active_ ? get_offset(machine_.storage) : 0;
  if (offset_ > size || size > slot) offset_ = 0;
  if (offset_ < size) offset_ -= offset_ % kSector;
  erased_ = offset_;
}

bool Download::begin(const Release &release) {
  bool same = active_ && fetch_.release.same_image(release);
  if (same && fetch_.release.deployment == release.deployment) return true;
  Storage &storage = machine_.storage;
  complete_ = false;  // also of the same bytes: they may have waited for long, and be others by now
  if (!same) {
    // The offset first: it must never be taken for another image's.
    if (!storage.erase(key::offset)) return false;
    offset_ = erased_ = 0;
    complete_ = release.size <= machine_.slots.size() && holds(machine_, room_, Client::kRoom, release) == Reason::none;
    if (complete_) offset_ = release.size;
  }
  fetch_ = Fetch();
  fetch_.release = release;
  active_ = fetch_.save(storage);
  if (complete_) put_offset(storage, offset_);
  return active_;
}

void Download::restart() {
  offset_ = erased_ = 0;
  complete_ = false;
  machine_.storage.erase(key::offset);
}

bool Download::again() {
  restart();
  fetch_.failed++;
  fetch_.save(machine_.storage);
  return fetch_.failed < kMaxFailed;
}

void Download::drop() {
  active_ = complete_ = false;
  machine_.storage.erase(key::fetch);
  machine_.storage.erase(key::offset);
}

bool Download::advanced() {
  bool advanced = advanced_;
  advanced_ = false;
  return advanced;
}

uint8_t Download::percent() const { return uint8_t(uint64_t(offset_) * 100 / fetch_.release.size); }

Reason Download::check(bool afresh) {
  if (complete_ && !afresh) return Reason::none;
  Reason reason = holds(machine_, room_, Client::kRoom, fetch_.release);
  complete_ = reason == Reason::none;
  return reason;
}

Outcome Download::fetch(Text link, Answer *answer, Reason *reason) {
  *reason = Reason::none;
  while (offset_ < fetch_.release.size) {
    progress_.progress(percent(), true);
    Outcome o = session(link, answer, reason);
    if (o != Outcome::ok || *reason != Reason::none) return o;
  }
  return Outcome::ok;
}

// expected tells whether an answer is the rest of the image, or the whole of it.
bool Download::expected(const Answer &answer) {
  uint32_t size = fetch_.release.size;
  if (answer.status == 200) {
    if (answer.length != int64_t(size)) return false;
    if (offset_ > 0) restart();
    return true;
  }
  // "bytes a-b/size"
  char range[6 + 3 * 21] = "bytes ";
  size_t n = 6 + decimal(offset_, range + 6);
  range[n++] = '-';
  n += decimal(int64_t(size) - 1, range + n);
  range[n++] = '/';
  decimal(size, range + n);
  return answer.status == 206 && offset_ > 0 && answer.length == int64_t(size - offset_) && Text(answer.range) == range;
}

// session downloads until the end, a failure, or the time to report how far it is.
Outcome Download::session(Text link, Answer *answer, Reason *reason) {
  Connection connection(machine_);
  Outcome o = client_.image(&connection, link, offset_, answer);
  if (answer->status == 416) restart();  // not the same question twice
  if (o != Outcome::ok) return o;
  if (!expected(*answer)) return Outcome::outage;
  uint64_t begun = machine_.board.millis();
  while (offset_ < fetch_.release.size) {
    // A sector at a time; the first may be the rest of one.
    uint32_t left = fetch_.release.size - offset_, sector = kSector - offset_ % kSector;
    size_t size = left < sector ? left : sector, got = 0;
    while (got < size) {
      int n = connection.read(room_ + got, size - got);
      if (n <= 0) break;
      got += size_t(n);
    }
    bool cut = got < size;
    if (cut) got -= got % 16;  // encrypted flash is written in blocks of 16
    if (got > 0 && !write(got)) {
      *reason = Reason::storage;
      return Outcome::ok;
    }
    if (cut || progress_.stop()) return Outcome::outage;
    progress_.progress(percent(), false);
    if (machine_.board.millis() - begun > kProgress) break;
  }
  return Outcome::ok;
}

bool Download::write(size_t size) {
  Slots &slots = machine_.slots;
  while (erased_ < offset_ + size) {
    uint32_t room = slots.size() - erased_, length = room < kStep ? room : kStep - erased_ % kStep;
    if (length > room) length = room;
    if (!slots.erase(erased_, length)) return false;
    erased_ += length;
  }
  if (!slots.write(offset_, room_, size)) return false;
  uint32_t before = offset_;
  offset_ += uint32_t(size);
  advanced_ = true;
  // Where this cannot be noted, a restart costs more bytes, and nothing else.
  if (before / kStep != offset_ / kStep || offset_ == fetch_.release.size) put_offset(machine_.storage, offset_);
  return true;
}

}  // namespace flota
