"""The update agent: it polls, decides, installs, tries, and goes back.

The program may, and need not, call what stands under "For the program".
"""

VERSION = "flota_agent/1.0"


# For the bootloader (flota_boot.py).


def boot():
    """Polls once, bounded, then goes on by a timer."""


def started():
    """The slot's main.py starts now."""


def ended(error):
    """An exception left main.py. Returns how long until the machine starts again, in ms."""
    return 60000


def leaving():
    """main.py asks for a soft reset."""


# For the program.


def on_update(f):
    """f(update) is told of each step; update: state, percent, version, reason, size."""


def on_offer(f):
    """f(update) may refuse a release for good, by returning False (reported as "vetoed")."""


def on_ready(f):
    """f() is asked before the restart into a new release, again every second: is it safe now?"""


def on_self_test(f):
    """f() decides, before the first check-in of a new release, whether that works."""


def check():
    """Polls at once, as the button does."""


def check_now(timeout_ms=60000):
    """Polls and waits until there is nothing left to do: True; False after timeout_ms."""
    return False


def pending():
    """Whether the release that runs is on trial."""
    return False


def provisioned():
    """Whether the device was given what it needs to find its server."""
    return False


def product_id():
    """The device's name; "" before it was given one."""
    return ""


def version():
    """Of the release that runs; "" when unknown."""
    return ""
