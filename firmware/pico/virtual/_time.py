"""time as the rp2 port has it: 32-bit ticks since the power or a reset, seconds of UTC."""

import _board
import utime as _utime
from utime import sleep, sleep_ms, sleep_us  # noqa: F401

__name__ = "time"

_PERIOD = 1 << 30
_MASK = _PERIOD - 1
_HALF = _PERIOD >> 1
_us = _utime.ticks_us
_born = _board.born


def ticks_ms():
    return (_us() - _born) // 1000 & _MASK


def ticks_us():
    return _us() - _born & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return ticks + delta & _MASK


def ticks_diff(end, start):
    return (end - start + _HALF & _MASK) - _HALF


def time():
    return int(_utime.time()) + _board.clock_offset


def time_ns():
    return _utime.time_ns() + _board.clock_offset * 1000000000


def mktime(when):
    """Seconds since 1970 of (year, month, day, hour, minute, second, …)."""
    y, m, d, hour, minute, second = when[:6]
    y, m = y + (m - 1) // 12, (m - 1) % 12 + 1
    y -= m <= 2
    days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * ((m + 9) % 12) + 2) // 5 + d - 719469
    return days * 86400 + hour * 3600 + minute * 60 + second


def gmtime(seconds=None):
    if seconds is None:
        seconds = time()
    return _utime.gmtime(seconds)[:8]


localtime = gmtime
