"""ntptime: the right time, where there is a network."""

import network
import utime

host = "pool.ntp.org"
timeout = 1


def time():
    network.route()
    return int(utime.time())


def settime():
    import _board

    network.route()
    _board.clock_offset = 0
