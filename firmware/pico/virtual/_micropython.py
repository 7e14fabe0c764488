"""micropython, with the interrupt character of the serial port."""

import _board
import micropython as _micropython
from micropython import (  # noqa: F401
    RingIO,
    const,
    heap_lock,
    heap_unlock,
    mem_info,
    opt_level,
    qstr_info,
    stack_use,
)

__name__ = "micropython"


def schedule(function, argument):
    _micropython.schedule(function, argument)
    _board.kick()


def kbd_intr(char):
    _board.interrupt_char = char


def alloc_emergency_exception_buf(size):
    pass
