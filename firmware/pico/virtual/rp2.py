"""rp2 as far as a program without hardware can have it: the flash and the BOOTSEL button."""

import _board

_country = "\0\0"
_flash = None  # set by the boot ROM


def bootsel_button():
    """1 while the button is pressed: the board's trigger button, which is pin 0 of the outside."""
    return 0 if _board.inputs.get(0, 1) else 1


def country(*code):
    global _country
    if not code:
        return _country
    _country = code[0]


def Flash(*, start=-1, len=-1):
    """The block device of the file system."""
    if _flash is None:
        raise OSError(19)  # ENODEV: no boot ROM, no flash
    return _flash


class PIO:
    """Its names, so that a program can be read; there is no machine behind them."""

    IN_LOW = OUT_LOW = 0
    IN_HIGH = OUT_HIGH = 1
    SHIFT_LEFT = 0
    SHIFT_RIGHT = 1
    JOIN_NONE = 0
    JOIN_TX = 1
    JOIN_RX = 2
    IRQ_SM0 = 256

    def __init__(self, id):
        raise NotImplementedError("a virtual Pico has no PIO")


class StateMachine:
    def __init__(self, id, *args, **options):
        raise NotImplementedError("a virtual Pico has no PIO")


def asm_pio(**options):
    def assemble(f):
        return f

    return assemble
