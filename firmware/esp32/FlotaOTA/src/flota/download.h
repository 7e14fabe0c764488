// An image on its way into the other slot: what of it is there, over cuts and restarts.
#pragma once

#include "client.h"
#include "records.h"

namespace flota {

class Download {
 public:
  // What is told while it goes on; it may ask the server something, since the
  // connection of the download is closed then.
  class Progress {
   public:
    virtual ~Progress() = default;
    virtual void progress(uint8_t percent, bool report) = 0;
    // stop tells that nobody wants it any more.
    virtual bool stop() = 0;
  };

  Download(Machine &machine, Client &client, char *room, Progress &progress)
      : machine_(machine), client_(client), room_(reinterpret_cast<uint8_t *>(room)), progress_(progress) {}

  // load takes up what the storage tells of before the start.
  void load();
  // active tells whether there is one; its image may be complete or not.
  bool active() const { return active_; }
  const Release &release() const { return fetch_.release; }

  // begin makes a release the one that is wanted. What is there of the same bytes stays.
  bool begin(const Release &release);
  // fetch gets what is missing. After ok all of it is there, to be checked. A reason
  // says that the flash fails.
  Outcome fetch(Text link, Answer *answer, Reason *reason);
  // check reads the slot back: none when it holds the image. What was checked before is
  // believed, unless afresh: others can write to the slot, too.
  Reason check(bool afresh = false);
  // again begins from 0 after a check that failed; false when it was the last time.
  bool again();
  // drop forgets it.
  void drop();
  // advanced tells whether bytes have come since it was asked last.
  bool advanced();

 private:
  static constexpr uint32_t kSector = 4096;
  static constexpr uint32_t kStep = 65536;  // between two notes of the offset

  Outcome session(Text link, Answer *answer, Reason *reason);
  bool expected(const Answer &answer);
  bool write(size_t size);
  void restart();
  uint8_t percent() const;

  Machine &machine_;
  Client &client_;
  uint8_t *const room_;
  Progress &progress_;
  Fetch fetch_;
  uint32_t offset_ = 0;  // bytes in the flash
  uint32_t erased_ = 0;  // up to here it is ready to be written
  bool active_ = false;
  bool complete_ = false;
  bool advanced_ = false;
};

// holds tells whether the other slot begins with an image.
Reason holds(Machine &machine, uint8_t *room, size_t size, const Release &release);

}  // namespace flota
