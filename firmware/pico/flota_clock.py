"""When what is done, in milliseconds (firmware/README.md, "Transport rules", "Installing")."""

import os
import time

NO_PROGRESS = 30000  # a request that stands still
CONNECT = 15000  # until a connection is there
SESSION = 15000  # of a download, until it tells how far it is
MAX_WAIT = 3600000  # between two polls
LATER = 60000  # a Retry-After that is missing
USUAL = 60000  # an X-Flota-Poll that is missing
TRIAL = 300000  # T: how long a new release may take to check in
FIRST_LOSS = 10000  # until the next trial after a loss of power
PENDING_WAIT = 30000  # between two polls on trial, at most
SETTLED = 5000  # a program on trial has run for so long before a check-in counts
BUTTON = 200  # between two looks at the button: the flash cannot be read while BOOTSEL is
ASK_READY = 1000  # between two questions whether a restart is safe
BOOT_NETWORK = 15000  # boot() waits for Wi-Fi
BOOT_ANSWER = 10000  # and for the answer to its poll
BOOT_UPDATE = 600000  # and for an update where the program ended badly
JOIN = 20000  # one network of those that it was given
AGAIN = 60000  # an exception left a confirmed program: until the next start, the first time

try:
    from _board import HURRY as hurry  # a virtual board's time may go faster than the world's
except ImportError:
    hurry = 1

_ticks = time.ticks_ms()
_now = 0


def now():
    """Milliseconds since this module was loaded, hurried; goes on where ticks_ms() begins anew."""
    global _ticks, _now
    ticks = time.ticks_ms()
    _now += time.ticks_diff(ticks, _ticks) * hurry
    _ticks = ticks
    return _now


def patience(ms):
    """A limit for somebody else, who is in no hurry: 3 s at least."""
    return max(ms, 3000 * hurry)


def random(below):
    """A number from 0 to below - 1."""
    return int.from_bytes(os.urandom(4), "little") % below


def after_poll(interval):
    """The interval and 0 to 10 % more."""
    return interval + random(interval // 10 + 1)


def back_off(failures):
    """5 s, doubled with each failure in a row up to 3600 s, each ± 25 %."""
    wait = min(5000 << min(failures, 10), MAX_WAIT)
    return wait - wait // 4 + random(wait // 2 + 1)
