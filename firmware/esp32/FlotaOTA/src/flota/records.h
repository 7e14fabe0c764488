// What the agent keeps over restarts: numbers of the protocol, and its own notes
// about a download and a trial under way. Each is one value in the storage, whole or
// not at all, and is checked when it is read: storage may come back as anything.
#pragma once

#include "names.h"
#include "ports.h"
#include "reason.h"
#include "text.h"

namespace flota {

// get_number reads 8 bytes, little-endian; 0 where there is none or it is no number of the protocol's.
int64_t get_number(Storage &storage, const char *key);
bool put_number(Storage &storage, const char *key, int64_t number);

// Release is an image and the deployment that wants it.
struct Release {
  int64_t deployment = 0;
  int64_t security_version = 0;
  uint32_t size = 0;  // bytes of the image
  uint8_t sha256[kDigest] = {};
  char version[kMaxText + 1] = "";

  bool same_image(const Release &other) const {
    return size == other.size && memcmp(sha256, other.sha256, kDigest) == 0;
  }
};

// Fetch is a download under way.
struct Fetch {
  Release release;
  uint8_t failed = 0;  // how often it was complete and wrong, or could not be written
  bool load(Storage &storage);
  bool save(Storage &storage) const;
};

// How much of a download is in the flash for certain, in bytes.
uint32_t get_offset(Storage &storage);
bool put_offset(Storage &storage, uint32_t offset);

// Candidate is an image that has not checked in yet. trial.h tells what happens to it.
struct Candidate {
  enum class Stage : uint8_t {
    applying = 1,  // about to be made the next to start
    activated,     // it is the next to start, or runs
    checked_in,    // it is good; that is about to be written down everywhere
    judging,       // it ended without a check-in: does the old image check in?
    offline,       // the old one could not either: tried again once that checks in
    waiting,       // tried again when its time has come
  };
  Release release;
  Stage stage = Stage::applying;
  Reason cause = Reason::none;  // why it ended, as far as that was seen
  uint8_t tries = 0;            // trials that ended without a check-in
  uint8_t losses = 0;           // trials that counted for nothing
  uint8_t starts = 0;           // of this trial, where the bootloader does not go back by itself
  uint16_t skips = 0;           // wake-ups to let pass before the next trial
  bool load(Storage &storage);
  bool save(Storage &storage) const;
};

// The release that was confirmed last.
bool get_running(Storage &storage, Release *release);
bool put_running(Storage &storage, const Release &release);

}  // namespace flota
