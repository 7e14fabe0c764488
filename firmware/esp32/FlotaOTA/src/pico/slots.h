// flota::Slots on a Pico, which has one place for a program. The other slot is a file, next.bin.
// Where the file system has room for both, the program that runs is kept as a file, too, before it is
// overwritten; what brings it back runs before everything else of the new one (early). README.md
// of firmware/pico/arduino tells what that survives, and what it does not.
#pragma once

#include "../flota/ports.h"
#include "files.h"

namespace flota {

class PicoSlots final : public Slots {
 public:
  static constexpr const char *kNext = "flota/next.bin";
  static constexpr const char *kKept = "flota/kept.gz";
  static constexpr const char *kNote = "flota/swap";

  // crypto is for these slots alone: digests are made while others are under way.
  PicoSlots(Files &files, Program &program, Crypto &crypto) : files_(files), program_(program), crypto_(crypto) {}

  // Early is what becomes of this start.
  struct Early {
    bool on_trial = false;         // this is the one start of a new image
    bool restart = false;          // it had its start: restart, and the old image is copied back
    bool returned = false;         // the old image runs again, and
    Reset cause = Reset::unknown;  // this is how the trial ended
  };
  // early is called once, before anything else of the program runs, with the reason of this start.
  Early early(Reset reset);

  uint32_t size() override;
  bool running(uint8_t digest[32]) override;
  bool erase(uint32_t offset, uint32_t length) override;
  bool write(uint32_t offset, const uint8_t *data, size_t size) override;
  bool read(uint32_t offset, uint8_t *data, size_t size) override;
  bool acceptable(uint32_t length) override;
  bool activate() override;
  Trial trial() override;
  bool confirm() override;
  bool revert() override;
  bool rolls_back() override { return false; }
  const char *rollback() override { return keeps() ? "agent-only" : "none"; }

 private:
  // Note is what is written down about a swap: whole or not at all, as every file.
  struct Note {
    enum Stage : uint8_t {
      armed = 1,  // the new image is copied at the next start
      started,    // it had its one start
      reverting,  // the old one is copied at the next start
      returned,   // it runs again
    };
    uint8_t form, stage, cause, tries;
    uint32_t next_size, old_size, kept_size;
    uint8_t next[32], old[32], kept[32];  // digests: of both programs, and of the file that has the old one
  };

  bool load(Note *note);
  bool store(const Note &note) { return files_.write(kNote, &note, sizeof note); }
  bool command(const char *file, uint32_t size);
  bool revert(Note *note, Reset cause);
  bool keeps();
  void measure();
  bool keep(Note *note);
  bool digest_of(const char *file, uint32_t size, uint8_t digest[32]);
  bool holds(const char *file, uint32_t size, const uint8_t digest[32]);

  Files &files_;
  Program &program_;
  Crypto &crypto_;
  bool measured_ = false, keeps_ = false, known_ = false, observed_ = false;
  uint32_t size_ = 0;
  uint8_t digest_[32];
  Trial trial_ = Trial::none;
};

}  // namespace flota
