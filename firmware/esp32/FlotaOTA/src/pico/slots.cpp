#include "slots.h"

#include <string.h>

#include "command.h"
#include "pack.h"

namespace flota {

namespace {

constexpr uint8_t kForm = 1;             // of a note; another is like none
constexpr uint8_t kMaxReturns = 3;       // tries to have the old image copied back
constexpr uint32_t kPiece = 1024;        // bytes at a time; on a stack
constexpr uint32_t kBootloader = 12288;  // its size; the program's vectors follow
constexpr uint32_t kLayout = 0x2FF0;     // where it has the places of file system and program, 16 bytes

uint32_t word(const uint8_t *at) {
  return uint32_t(at[0]) | uint32_t(at[1]) << 8 | uint32_t(at[2]) << 16 | uint32_t(at[3]) << 24;
}

}  // namespace

// measure decides once for a start: the file system also holds what the sketch puts there.
void PicoSlots::measure() {
  if (measured_) return;
  measured_ = true;
  struct Measure final : Packer::Sink {
    uint32_t size = 0;
    bool take(const uint8_t *, size_t n) override {
      size += uint32_t(n);
      return true;
    }
  } packed;
  int32_t next = files_.size(kNext), kept = files_.size(kKept);
  uint32_t room = files_.room() + uint32_t(next > 0 ? next : 0) + uint32_t(kept > 0 ? kept : 0);
  // Room for an image as large as the one that runs, and for that one, too.
  keeps_ = room > program_.size() && Packer(packed).pack(program_.data(), program_.size()) &&
           packed.size <= room - program_.size();
  size_ = keeps_ ? room - packed.size : room;
  if (size_ > program_.limit()) size_ = program_.limit();
}

bool PicoSlots::keeps() {
  measure();
  return keeps_;
}

uint32_t PicoSlots::size() {
  measure();
  return size_;
}

bool PicoSlots::running(uint8_t digest[32]) {
  if (!known_) {
    crypto_.sha256_begin();
    crypto_.sha256_add(program_.data(), program_.size());
    crypto_.sha256_end(digest_);
    known_ = true;
  }
  memcpy(digest, digest_, sizeof digest_);
  return true;
}

// The file grows as it is written; there is nothing to erase but what is there already.
bool PicoSlots::erase(uint32_t offset, uint32_t length) {
  if (offset > size() || length > size() - offset) return false;
  int32_t has = files_.size(kNext);
  if (offset == 0) return files_.remove(kNext);
  if (has < int32_t(offset)) return false;
  return has == int32_t(offset) || files_.truncate(kNext, offset);
}

bool PicoSlots::write(uint32_t offset, const uint8_t *data, size_t size) {
  if (offset > this->size() || size > this->size() - offset) return false;
  int32_t has = files_.size(kNext);
  return (has < 0 ? 0 : uint32_t(has)) == offset && files_.append(kNext, data, size);
}

bool PicoSlots::read(uint32_t offset, uint8_t *data, size_t size) { return files_.read(kNext, offset, data, size); }

// The bootloader must find the same file system afterwards: one that it does not find holds
// neither the rest of the program, should the power go while it copies, nor the old one.
bool PicoSlots::acceptable(uint32_t length) {
  uint8_t layout[16], vectors[8];
  if (length <= kBootloader + sizeof vectors || files_.size(kNext) != int32_t(length) ||
      program_.size() <= kBootloader || !files_.read(kNext, kLayout, layout, sizeof layout) ||
      !files_.read(kNext, kBootloader, vectors, sizeof vectors)) {
    return false;
  }
  uint32_t stack = word(vectors), start = word(vectors + 4);
  return memcmp(layout, program_.data() + kLayout, sizeof layout) == 0 && stack >> 20 == 0x200 && (start & 1) == 1 &&
         start > kProgramAddress + kBootloader && start < kProgramAddress + length;
}

bool PicoSlots::digest_of(const char *file, uint32_t size, uint8_t digest[32]) {
  uint8_t piece[kPiece];
  crypto_.sha256_begin();
  for (uint32_t at = 0; at < size;) {
    uint32_t n = size - at < kPiece ? size - at : kPiece;
    if (!files_.read(file, at, piece, n)) return false;
    crypto_.sha256_add(piece, n);
    at += n;
  }
  crypto_.sha256_end(digest);
  return true;
}

bool PicoSlots::holds(const char *file, uint32_t size, const uint8_t digest[32]) {
  uint8_t found[32];
  return size > 0 && files_.size(file) == int32_t(size) && digest_of(file, size, found) &&
         memcmp(found, digest, sizeof found) == 0;
}

// keep makes a file of the program that runs, unless it is there from a trial before.
bool PicoSlots::keep(Note *note) {
  Note before;
  running(note->old);
  note->old_size = program_.size();
  if (load(&before) && before.old_size == note->old_size && memcmp(before.old, note->old, sizeof note->old) == 0 &&
      holds(kKept, before.kept_size, before.kept)) {
    note->kept_size = before.kept_size;
    memcpy(note->kept, before.kept, sizeof note->kept);
    return true;
  }
  struct Keep final : Packer::Sink {
    Keep(Files &f, Crypto &c) : files(f), crypto(c) {}
    bool take(const uint8_t *data, size_t n) override {
      crypto.sha256_add(data, n);
      size += uint32_t(n);
      return files.append(kKept, data, n);
    }
    Files &files;
    Crypto &crypto;
    uint32_t size = 0;
  } kept(files_, crypto_);
  if (!files_.remove(kKept)) return false;
  crypto_.sha256_begin();
  bool done = Packer(kept).pack(program_.data(), program_.size());
  crypto_.sha256_end(note->kept);
  note->kept_size = kept.size;
  return done && files_.sync() && holds(kKept, note->kept_size, note->kept);
}

bool PicoSlots::load(Note *note) {
  return files_.size(kNote) == int32_t(sizeof *note) && files_.read(kNote, 0, note, sizeof *note) &&
         note->form == kForm && note->stage >= Note::armed && note->stage <= Note::returned;
}

bool PicoSlots::command(const char *file, uint32_t size) {
  OtaCommand command;
  ota_command(file, size, &command);
  return files_.write(kCommandFile, &command, sizeof command);
}

// The note first: a new image that starts without one would be good at once.
bool PicoSlots::activate() {
  Note note = {};
  note.form = kForm;
  note.stage = Note::armed;
  if (!files_.sync()) return false;
  int32_t size = files_.size(kNext);
  if (size <= 0) return false;
  note.next_size = uint32_t(size);
  if (!digest_of(kNext, note.next_size, note.next)) return false;
  if (keeps() ? !keep(&note) : !files_.remove(kKept)) return false;
  return store(note) && command(kNext, note.next_size);
}

Trial PicoSlots::trial() {
  if (observed_) return trial_;
  observed_ = true;
  Note note;
  uint8_t digest[32];
  bool pending = load(&note) && running(digest) && memcmp(digest, note.next, sizeof digest) == 0;
  trial_ = pending ? Trial::pending : Trial::none;
  return trial_;
}

// The files make room for the sketch's until the next update.
bool PicoSlots::confirm() {
  if (!files_.remove(kNote)) return false;
  trial_ = Trial::none;
  files_.remove(kNext);
  files_.remove(kKept);
  return true;
}

bool PicoSlots::revert() {
  Note note;
  return load(&note) && revert(&note, Reset::software);
}

bool PicoSlots::revert(Note *note, Reset cause) {
  if (note->tries >= kMaxReturns || !holds(kKept, note->kept_size, note->kept)) return false;
  note->tries++;
  note->stage = Note::reverting;
  note->cause = uint8_t(cause);
  return store(*note) && command(kKept, note->old_size);  // its length when it is unpacked
}

PicoSlots::Early PicoSlots::early(Reset reset) {
  Early result;
  Note note;
  if (!load(&note)) return result;
  uint8_t digest[32];
  switch (note.stage) {
    case Note::armed:
      note.stage = Note::started;
      store(note);
      result.on_trial = true;
      break;
    case Note::started:
      running(digest);
      if (memcmp(digest, note.next, sizeof digest) != 0) break;  // it was never copied
      result.restart = revert(&note, reset);
      result.on_trial = !result.restart;
      break;
    case Note::reverting:
      running(digest);
      if (memcmp(digest, note.old, sizeof digest) != 0) {  // power was lost between the note and the command
        result.restart = revert(&note, Reset(note.cause));
        result.on_trial = !result.restart;
        break;
      }
      note.stage = Note::returned;
      store(note);
      [[fallthrough]];
    default:
      result.returned = true;
      result.cause = Reset(note.cause);
  }
  return result;
}

}  // namespace flota
