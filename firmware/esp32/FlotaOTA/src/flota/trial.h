// What becomes of an image on trial, decided from what was written down, why the
// machine started, and what runs (device protocol, "Installing"). Nothing in here
// does anything.
#pragma once

#include "records.h"

namespace flota {

// Start is what the agent finds when it starts.
struct Start {
  bool pending;     // the bootloader holds the image that runs for new
  bool rolls_back;  // the bootloader goes back by itself
  bool runs_it;     // what runs is the image of the trial
  Reset reset;
};

enum class Verdict : uint8_t {
  nothing,   // no image is on trial
  on_trial,  // the one that runs is
  go_back,   // the one that runs had its start: the other is to run again
  good,      // the one that runs has checked in before: write that down
  bad,       // the other one, for the trial's cause, for good
  later,     // the other one is tried again
  forget,    // the trial is of an image that is in neither slot any more
};

// at_start decides, and notes in the candidate what must be written down before anything
// else is done. It is nullptr when there is none.
Verdict at_start(const Start &start, Candidate *candidate);

// old_image notes what a check-in, or none within T, of the old image says about a trial
// that ended without one. It returns bad, later, or nothing where it says nothing.
Verdict old_image(bool checked_in, Candidate *candidate);

// retry_after is how long the old image runs before the next trial, in milliseconds.
uint32_t retry_after(const Candidate &candidate, uint32_t random);

}  // namespace flota
