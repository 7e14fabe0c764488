#include "trial.h"

#include "timing.h"

namespace flota {

namespace {

using Stage = Candidate::Stage;

// pass lets the trial wait, and a device that sleeps let wake-ups pass: it is never
// awake for as long as retry_after says.
void pass(Candidate *candidate, Stage stage) {
  candidate->stage = stage;
  candidate->cause = Reason::none;
  candidate->starts = 0;
  uint8_t ended = uint8_t(candidate->tries + candidate->losses);
  candidate->skips = uint16_t((1u << (ended > 10 ? 10 : ended > 0 ? ended - 1 : 0)) - 1);
}

void lose(Candidate *candidate, Stage stage) {
  if (candidate->losses < UINT8_MAX - kMaxTries) candidate->losses++;
  pass(candidate, stage);
}

// cause_of is what the reason of a start says about the trial before it; none for a
// loss of power, sleep, and whatever else counts for nothing.
Reason cause_of(Reset reset) {
  switch (reset) {
    case Reset::crash:
      return Reason::crash;
    case Reset::watchdog:
      return Reason::watchdog;
    case Reset::software:
      return Reason::no_checkin;  // a restart that the sketch asked for
    default:
      return Reason::none;
  }
}

Verdict ended(Candidate *candidate) {
  switch (candidate->cause) {
    case Reason::none:
      lose(candidate, Stage::waiting);
      return Verdict::later;
    case Reason::no_checkin:
      candidate->stage = Stage::judging;
      candidate->starts = 0;
      return Verdict::later;
    default:
      return Verdict::bad;
  }
}

Verdict runs(const Start &start, Candidate *candidate) {
  if (candidate->stage == Stage::checked_in) return Verdict::good;
  if (candidate->cause != Reason::none || candidate->starts > 1) return Verdict::go_back;  // it was on the way
  if (candidate->stage != Stage::activated) candidate->starts = 0;
  candidate->stage = Stage::activated;
  if (start.pending && start.rolls_back) return Verdict::on_trial;
  // Nobody else counts: the first start is the trial, and the second tells how that ended.
  if (++candidate->starts == 1) return Verdict::on_trial;
  candidate->cause = cause_of(start.reset);
  return Verdict::go_back;
}

}  // namespace

Verdict at_start(const Start &start, Candidate *candidate) {
  if (candidate == nullptr) return start.pending ? Verdict::on_trial : Verdict::nothing;
  if (start.runs_it) return runs(start, candidate);
  if (start.pending) return Verdict::forget;  // somebody else's new image runs
  switch (candidate->stage) {
    case Stage::activated:
      if (candidate->cause == Reason::none && candidate->starts < 2) candidate->cause = cause_of(start.reset);
      return ended(candidate);
    case Stage::applying:    // power was lost before it could start
    case Stage::checked_in:  // or before the bootloader knew that it is good
      lose(candidate, Stage::waiting);
      return Verdict::later;
    default:
      if (candidate->skips > 0 && start.reset == Reset::sleep) candidate->skips--;
      return Verdict::later;
  }
}

Verdict old_image(bool checked_in, Candidate *candidate) {
  if (candidate->stage == Stage::offline && checked_in) {
    candidate->stage = Stage::waiting;
    return Verdict::later;
  }
  if (candidate->stage != Stage::judging) return Verdict::nothing;
  if (!checked_in) {
    lose(candidate, Stage::offline);
    return Verdict::later;
  }
  candidate->tries++;
  if (candidate->tries >= kMaxTries) {
    candidate->cause = Reason::no_checkin;
    return Verdict::bad;
  }
  pass(candidate, Stage::waiting);
  return Verdict::later;
}

uint32_t retry_after(const Candidate &candidate, uint32_t random) {
  if (candidate.tries > 0 && candidate.losses == 0) return kTrial << (candidate.tries - 1);
  return candidate.tries == 0 && candidate.losses <= 1 ? kFirstLoss : back_off(candidate.losses, random);
}

}  // namespace flota
