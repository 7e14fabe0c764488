"""sys as the rp2 port has it."""

import usys as _usys
from io import StringIO as _StringIO
from collections import namedtuple as _namedtuple
from usys import (  # noqa: F401
    byteorder,
    exit,
    modules,
    path,
    stderr,
    stdin,
    stdout,
    version_info,
)

__name__ = "sys"

platform = "rp2"
version = "3.4.0; MicroPython v1.25.0 on 2025-04-15"
maxsize = 0x7FFFFFFF
argv = []
ps1 = ">>> "
ps2 = "... "
_real = _usys.implementation
implementation = _namedtuple(
    "implementation", ("name", "version", "_machine", "_mpy", "_build")
)("micropython", _real[1], "Virtual Pico W with RP2040", _real._mpy, "VIRTUAL_PICO_W")

_rom = '  File "' + __file__[: __file__.rfind("/") + 1]


def print_exception(error, file=stdout):
    """Prints a trace, without what is firmware on a real board."""
    text = _StringIO()
    _usys.print_exception(error, text)
    for line in text.getvalue().split("\n")[:-1]:
        if not line.startswith(_rom):
            print(line, file=file)
