"""The boot ROM: what rp2's main.c and _boot.py do, in the process of firmware/chip/README.md."""

import asyncio  # noqa: F401: here, since its half in C counts the host's milliseconds
import builtins
import gc
import json
import sys

import flash
import machine
import network  # noqa: F401
import ntptime  # noqa: F401
import rp2
import socket  # noqa: F401
import ssl  # noqa: F401
import uos
import vfs

import _board
import _micropython
import _os
import _repl
import _select
import _sys
import _time
import _vfs

_HIDDEN = ("ffi", "jni", "termios")
_SHIMS = {
    "micropython": _micropython,
    "os": _os,
    "select": _select,
    "sys": _sys,
    "time": _time,
    "vfs": _vfs,
}


class _Absent:
    """A module of the host's: to import it does nothing, to use it is an ImportError."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        raise ImportError("no module named '%s'" % self._name)


def _worn():
    """For tests: the numbers of blocks that keep nothing, as JSON in the board's folder."""
    try:
        with open(_board.DIR + "/worn") as f:
            return json.load(f)
    except OSError:
        return ()


class Plain:
    """The flash in the board's folder, as it is where no test wants anything of it.

    What LittleFS calls uses no memory, so that no collection comes between, and has no jump but
    the one at its end: there what is scheduled runs, as on a board.
    """

    def __init__(self):
        self._file = open(_board.DIR + "/flash.bin", "r+b")
        self._fd = self._file.fileno()
        self._blocks = self._file.seek(0, 2) // flash.BLOCK
        self._answers = {4: self._blocks, 5: flash.BLOCK}
        self._blank = b"\xff" * flash.BLOCK

    def readblocks(self, block, buf, offset=0):
        _pread(self._fd, buf, len(buf), block * 4096 + offset)
        _events()

    def writeblocks(self, block, buf, offset=0):
        _pwrite(self._fd, buf, len(buf), block * 4096 + offset)
        _events()

    def ioctl(self, op, arg):
        # The erasing is written nowhere (descriptor -1) unless it is asked for.
        _pwrite(self._fd * (op == 6) - (op != 6), self._blank, 4096, arg * 4096)
        return self._answers.get(op, 0)

    def again(self):
        pass


_pread = _board.libc.func("l", "pread", "iPLl")
_pwrite = _board.libc.func("l", "pwrite", "iPLl")


def _events():
    """mp_event_handle_nowait() as rp2_flash.c calls it after each block, in the middle of a file
    operation: one function that was scheduled runs in the jump. Ctrl-C waits until later."""
    try:
        if _pread:
            return
    except KeyboardInterrupt:
        _board.interrupt()


class Slow(Plain):
    """One that takes its time, as on a board: what comes meanwhile is due in a file operation."""

    def writeblocks(self, block, buf, offset=0):
        _usleep(_PAGE_US)
        Plain.writeblocks(self, block, buf, offset)

    def ioctl(self, op, arg):
        _usleep(_ERASE_US * (op == 6))
        return Plain.ioctl(self, op, arg)


# W25Q16JV: what erasing a block and programming a page typically take.
_ERASE_US = 45000
_PAGE_US = 400
_usleep = _board.libc.func("i", "usleep", "I")


class Flash(flash.Flash):
    """The flash in the board's folder; where BOARD_CUT is, what it is about to write is told."""

    def __init__(self, cut, worn):
        super().__init__(open(_board.DIR + "/flash.bin", "r+b"), cut, self._off, worn)
        self._at = None if cut is None else int(uos.getenv("BOARD_WRITTEN") or 0)

    def again(self):
        """Before a soft reset: the process after it goes on counting."""
        if self._at is not None:
            uos.putenv("BOARD_CUT", str(self.left))
            uos.putenv("BOARD_WRITTEN", str(self._at))

    def _off(self):
        _board.end(99)

    # On a real board this is C, and callbacks of timers come at its end only: see _events. It uses
    # no memory where it can: the collector closes forgotten files with the heap locked.
    def readblocks(self, block, buf, offset=0):
        masked, _board.masked = _board.masked, 1
        try:
            flash.Flash.readblocks(self, block, buf, offset)
        except KeyboardInterrupt:  # none may leave LittleFS half way: it is for the program
            flash.Flash.readblocks(self, block, buf, offset)
            _board.interrupt()
        finally:
            _board.masked = masked
        _board.serve()
        _events()

    def writeblocks(self, block, buf, offset=None):
        masked, _board.masked = _board.masked, 1
        try:
            flash.Flash.writeblocks(self, block, buf, offset)
        except KeyboardInterrupt:
            flash.Flash.writeblocks(self, block, buf, offset)
            _board.interrupt()
        finally:
            _board.masked = masked
        _board.serve()
        _events()

    def ioctl(self, op, arg):
        masked, _board.masked = _board.masked, 1
        try:
            result = flash.Flash.ioctl(self, op, arg)
        except KeyboardInterrupt:
            result = flash.Flash.ioctl(self, op, arg)
            _board.interrupt()
        finally:
            _board.masked = masked
        return result

    def _program(self, at, data):
        if self._at is not None:
            to = self._at + len(data)
            _board.tell("written %d %d fs" % (self._at, to))
            self._at = to
        super()._program(at, data)


def start(names):
    """Never returns."""
    _board.begin()
    _mount()
    _hide()
    _repl.names = names
    _repl.stdin = open(0, "rb")
    _repl.raw = uos.getenv("BOARD_SOFT") == "raw"
    names.clear()
    names["__name__"] = "__main__"
    gc.collect()
    while True:
        try:
            _main()
            print("MPY: soft reboot")
            break
        except KeyboardInterrupt:  # a moment too late for the program that it was meant for
            pass
    rp2._flash.again()
    _board.again("raw" if _repl.raw else "friendly")


def _main():
    result = _file("boot.py")
    if result == _repl.EXIT:
        return
    if not _repl.raw and result == _repl.DONE and _file("main.py") == _repl.EXIT:
        return
    while True:
        if (_repl.raw_repl if _repl.raw else _repl.friendly_repl)() == _repl.EXIT:
            return


def _file(name):
    try:
        uos.stat(name)
    except OSError:
        return _repl.DONE
    _repl.names["__file__"] = name
    return _repl.run(builtins.execfile, name, _repl.names)


def _mount():
    cut = uos.getenv("BOARD_CUT")
    worn = _worn()
    if cut is not None or worn:
        device = Flash(cut and int(cut), worn)
    else:
        device = Slow() if uos.getenv("BOARD_SLOW_FLASH") else Plain()
    rp2._flash = device
    vfs.umount("/")
    try:
        fs = vfs.VfsLfs2(device, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(device, progsize=256)
        fs = vfs.VfsLfs2(device, progsize=256)
    vfs.mount(fs, "/")
    uos.chdir("/")


def _hide():
    """What an RP2040 has not."""
    modules = sys.modules
    for name in list(modules):
        if name in ("ffi", "flash", "_rom", "_repl") or name[1:] in _SHIMS:
            del modules[name]
    for name, module in _SHIMS.items():
        modules[name] = modules["u" + name] = module
    for name in ("socket", "ssl", "machine"):
        modules["u" + name] = modules[name]
    for name in _HIDDEN:
        modules[name] = _Absent(name)
    _board.report = _sys.print_exception
    _repl.sys = _sys
    sys.path[:] = ["", ".frozen", "/lib"]
    machine.soft_reset = _soft_reset


def _soft_reset():
    raise SystemExit
