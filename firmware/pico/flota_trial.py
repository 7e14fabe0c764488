"""What becomes of a release on trial (firmware/README.md, "Installing"): decisions alone.

A candidate is a release that has not checked in yet: {"release", "stage", "cause", "tries",
"losses"}. Its stages:
applying    about to be made the next to start
activated   it is the next to start, or runs
checked_in  it is good; that is about to be written down everywhere
judging     it ended without a check-in: does the old release check in?
offline     the old one could not either: tried again once that checks in
waiting     tried again when its time has come
"""

import flota_clock as clock

MAX_TRIES = 3  # trials without a check-in
STAGES = ("applying", "activated", "checked_in", "judging", "offline", "waiting")
# What the reason of a start says about the trial before it; a loss of power says nothing.
_CAUSES = {"watchdog": "watchdog", "software": "no_checkin"}


def candidate(release):
    return {"release": release, "stage": "applying", "cause": "", "tries": 0, "losses": 0}


def _lose(c, stage):
    c["losses"] = min(c["losses"] + 1, 99)
    c["stage"], c["cause"] = stage, ""


def at_start(c, pending, runs_it, cause):
    """Decides, and notes in the candidate what must be written down before anything else.

    c        the candidate, or None
    pending  the bootloader holds what runs for new
    runs_it  what runs is the candidate
    cause    of this start: power, watchdog, software
    Returns "on_trial" (what runs is), "go_back" (what runs had its start), "good" (it has
    checked in before: write that down), "bad" (the candidate, for its cause, for good), "later"
    (it is tried again), "forget" (it is in neither slot any more), or None.
    """
    if not c:
        return "on_trial" if pending else None
    if runs_it:
        if c["stage"] == "checked_in":
            return "good"
        if c["cause"]:
            return "go_back"  # it was on the way
        c["stage"] = "activated"
        return "on_trial"
    if pending:
        return "forget"
    if c["stage"] == "activated":
        c["cause"] = c["cause"] or _CAUSES.get(cause, "")
        if not c["cause"]:
            _lose(c, "waiting")
        elif c["cause"] == "no_checkin":
            c["stage"] = "judging"
        else:
            return "bad"
    elif c["stage"] in ("applying", "checked_in"):
        # Power was lost before it could start, or before the bootloader knew that it is good.
        _lose(c, "waiting")
    return "later"


def old_release(c, checked_in):
    """Notes what a check-in of the old release, or none within T, says about a trial that ended
    without one. Returns "bad", "later", or None where it says nothing."""
    if c["stage"] == "offline" and checked_in:
        c["stage"] = "waiting"
        return "later"
    if c["stage"] != "judging":
        return None
    if not checked_in:
        _lose(c, "offline")
        return "later"
    c["tries"] += 1
    if c["tries"] >= MAX_TRIES:
        c["cause"] = "no_checkin"
        return "bad"
    c["stage"], c["cause"] = "waiting", ""
    return "later"


def retry_after(c):
    """How long the old release runs before the next trial, in milliseconds."""
    if c["tries"] and not c["losses"]:
        return clock.TRIAL << (c["tries"] - 1)
    if not c["tries"] and c["losses"] <= 1:
        return clock.FIRST_LOSS
    return clock.back_off(c["losses"])
