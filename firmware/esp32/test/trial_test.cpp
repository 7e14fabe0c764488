// What becomes of an image on trial, as a table.
#include "trial.h"

#include <doctest/doctest.h>

#include <initializer_list>

#include "timing.h"

using namespace flota;
using Stage = Candidate::Stage;

namespace {

Candidate candidate(Stage stage, Reason cause = Reason::none, uint8_t tries = 0, uint8_t losses = 0,
                    uint8_t starts = 0) {
  Candidate c;
  c.stage = stage;
  c.cause = cause;
  c.tries = tries;
  c.losses = losses;
  c.starts = starts;
  return c;
}

}  // namespace

TEST_CASE("at the start") {
  struct Row {
    const char *what;
    Start start;  // pending, rolls_back, runs_it, reset
    Candidate before;
    Verdict verdict;
    Candidate after;
  };
  const Row rows[] = {
      {"the new image's first start",
       {true, true, true, Reset::software},
       candidate(Stage::activated),
       Verdict::on_trial,
       candidate(Stage::activated)},
      {"it started before that was written down",
       {true, true, true, Reset::power},
       candidate(Stage::applying),
       Verdict::on_trial,
       candidate(Stage::activated)},
      {"it crashed",
       {false, true, false, Reset::crash},
       candidate(Stage::activated),
       Verdict::bad,
       candidate(Stage::activated, Reason::crash)},
      {"the watchdog reset it",
       {false, true, false, Reset::watchdog},
       candidate(Stage::activated),
       Verdict::bad,
       candidate(Stage::activated, Reason::watchdog)},
      {"it failed its self-test",
       {false, true, false, Reset::software},
       candidate(Stage::activated, Reason::selftest),
       Verdict::bad,
       candidate(Stage::activated, Reason::selftest)},
      {"its sketch restarted",
       {false, true, false, Reset::software},
       candidate(Stage::activated),
       Verdict::later,
       candidate(Stage::judging, Reason::no_checkin)},
      {"it never checked in",
       {false, true, false, Reset::software},
       candidate(Stage::activated, Reason::no_checkin),
       Verdict::later,
       candidate(Stage::judging, Reason::no_checkin)},
      {"power was lost",
       {false, true, false, Reset::power},
       candidate(Stage::activated),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"a brown-out",
       {false, true, false, Reset::brownout},
       candidate(Stage::activated, Reason::none, 1),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 1, 1)},
      {"it slept",
       {false, true, false, Reset::sleep},
       candidate(Stage::activated),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"the reset button",
       {false, true, false, Reset::external},
       candidate(Stage::activated),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"nobody knows why",
       {false, true, false, Reset::unknown},
       candidate(Stage::activated),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"power was lost before it could start",
       {false, true, false, Reset::power},
       candidate(Stage::applying),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"it had checked in, and the bootloader did not know",
       {false, true, false, Reset::power},
       candidate(Stage::checked_in),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"it had checked in",
       {false, true, true, Reset::power},
       candidate(Stage::checked_in),
       Verdict::good,
       candidate(Stage::checked_in)},
      {"the old one starts once more",
       {false, true, false, Reset::crash},
       candidate(Stage::waiting, Reason::none, 1),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 1)},
      {"agent-only: the first start",
       {false, false, true, Reset::software},
       candidate(Stage::activated),
       Verdict::on_trial,
       candidate(Stage::activated, Reason::none, 0, 0, 1)},
      {"agent-only: it crashed",
       {false, false, true, Reset::crash},
       candidate(Stage::activated, Reason::none, 0, 0, 1),
       Verdict::go_back,
       candidate(Stage::activated, Reason::crash, 0, 0, 2)},
      {"agent-only: power was lost",
       {false, false, true, Reset::power},
       candidate(Stage::activated, Reason::none, 0, 0, 1),
       Verdict::go_back,
       candidate(Stage::activated, Reason::none, 0, 0, 2)},
      {"agent-only: it was going back",
       {false, false, true, Reset::power},
       candidate(Stage::activated, Reason::none, 0, 0, 2),
       Verdict::go_back,
       candidate(Stage::activated, Reason::none, 0, 0, 2)},
      {"agent-only: the old one, after a crash",
       {false, false, false, Reset::software},
       candidate(Stage::activated, Reason::crash, 0, 0, 2),
       Verdict::bad,
       candidate(Stage::activated, Reason::crash, 0, 0, 2)},
      {"agent-only: the old one, after a loss of power",
       {false, false, false, Reset::software},
       candidate(Stage::activated, Reason::none, 0, 0, 2),
       Verdict::later,
       candidate(Stage::waiting, Reason::none, 0, 1)},
      {"the core marked it valid: the agent counts",
       {false, true, true, Reset::watchdog},
       candidate(Stage::activated, Reason::none, 0, 0, 1),
       Verdict::go_back,
       candidate(Stage::activated, Reason::watchdog, 0, 0, 2)},
      {"it was on the way back",
       {true, true, true, Reset::power},
       candidate(Stage::activated, Reason::selftest),
       Verdict::go_back,
       candidate(Stage::activated, Reason::selftest)},
      {"somebody else's image is on trial",
       {true, true, false, Reset::software},
       candidate(Stage::waiting),
       Verdict::forget,
       candidate(Stage::waiting)},
  };
  for (const Row &row : rows) {
    CAPTURE(row.what);
    Candidate c = row.before;
    CHECK(at_start(row.start, &c) == row.verdict);
    CHECK(c.stage == row.after.stage);
    CHECK(c.cause == row.after.cause);
    CHECK(c.tries == row.after.tries);
    CHECK(c.losses == row.after.losses);
    CHECK(c.starts == row.after.starts);
  }
  CHECK(at_start({true, true, false, Reset::power}, nullptr) == Verdict::on_trial);
  CHECK(at_start({false, true, false, Reset::power}, nullptr) == Verdict::nothing);
}

TEST_CASE("three trials without a check-in are enough, when the old image has one") {
  Candidate c = candidate(Stage::judging, Reason::no_checkin);
  CHECK(old_image(true, &c) == Verdict::later);
  CHECK(c.stage == Stage::waiting);
  CHECK(retry_after(c, 0) == kTrial);
  CHECK(old_image(true, &c) == Verdict::nothing);
  c.stage = Stage::judging;
  CHECK(old_image(true, &c) == Verdict::later);
  CHECK(retry_after(c, 0) == 2 * kTrial);
  c.stage = Stage::judging;
  CHECK(old_image(true, &c) == Verdict::bad);
  CHECK(c.cause == Reason::no_checkin);
}

TEST_CASE("a network that is out blames nobody") {
  Candidate c = candidate(Stage::judging, Reason::no_checkin);
  CHECK(old_image(false, &c) == Verdict::later);
  CHECK(c.stage == Stage::offline);
  CHECK(c.tries == 0);
  CHECK(old_image(false, &c) == Verdict::nothing);
  CHECK(old_image(true, &c) == Verdict::later);
  CHECK(c.stage == Stage::waiting);
  CHECK(c.tries == 0);
}

TEST_CASE("waits after losses of power") {
  Candidate c = candidate(Stage::activated);
  for (int i = 0; i < 300; i++) {
    c.stage = Stage::activated;
    REQUIRE(at_start({false, true, false, Reset::power}, &c) == Verdict::later);
    uint32_t wait = retry_after(c, uint32_t(i) * 7919);
    if (i == 0) CHECK(wait == 10000);
    CHECK(wait <= kMaxWait + kMaxWait / 4);
    if (i > 20) CHECK(wait >= kMaxWait - kMaxWait / 4);
  }
}

// Deep sleep: more and more wake-ups pass with every trial that ended in sleep.
TEST_CASE("a device that sleeps is not kept from its work") {
  Candidate c = candidate(Stage::activated);
  int wakes = 0, trials = 0;
  for (; wakes < 200; wakes++) {
    Verdict v = at_start({false, true, false, Reset::sleep}, &c);
    REQUIRE(v == Verdict::later);
    if (c.skips == 0) {
      trials++;
      c.stage = Stage::activated;
    }
  }
  CHECK(trials > 3);
  CHECK(trials < 12);
}

TEST_CASE("back-off") {
  for (uint32_t random : {0u, 1u, 12345u, 0xffffffffu}) {
    CHECK(back_off(0, random) >= 3750);
    CHECK(back_off(0, random) <= 6250);
    CHECK(back_off(3, random) >= 30000);
    CHECK(back_off(3, random) <= 50000);
    CHECK(back_off(200, random) >= 2700000);
    CHECK(back_off(200, random) <= 4500000);
    CHECK(after_poll(60000, random) >= 60000);
    CHECK(after_poll(60000, random) <= 66000);
  }
}
