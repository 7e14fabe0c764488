"""`_thread` where BOOTSEL is the button, which is not read any more once there is a second thread.

To read it the flash is taken away for some microseconds, and the core that the second thread runs
on is not stopped for that (MicroPython 1.23 and newer): it would run whatever comes instead.
"""

import _thread as _real
from _thread import *  # noqa: F401,F403: all of it, also for a program that does the same

_agent = None  # puts itself here


def start_new_thread(*args):
    """_thread.start_new_thread()."""
    _agent.threads = True
    return _real.start_new_thread(*args)
