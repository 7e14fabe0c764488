"""What lies between a Pico's modules and the machine that they run in.

Under the boot ROM (rom.py) that is the process's world of firmware/chip/README.md. In any other
MicroPython, without BOARD_DIR, there is no chip: what is told it goes nowhere, and the state of
pins and network is in this module alone, for tests to look at and to change.
"""

import array
import errno
import ffi
import sys
import uctypes
import micropython
import uos
import utime

LED = 25  # the number under which the chip is told of the LED (GPIO 25 of a Pico)

DIR = uos.getenv("BOARD_DIR")
RESET = uos.getenv("BOARD_RESET") or "power"
PROXY = uos.getenv("BOARD_NET") == "proxy"
HURRY = int(uos.getenv("BOARD_HURRY") or 1)  # how much faster than the world the agent's time goes
PINS = 40

libc = ffi.open("libc.so.6")
_read = libc.func("l", "read", "iPL")
_write = libc.func("l", "write", "iPL")
_ioctl = libc.func("i", "ioctl", "iLP")
_fcntl = libc.func("i", "fcntl", "iil")
_poll = libc.func("i", "poll", "PLi")
_setitimer = libc.func("i", "setitimer", "iPP")
_signal = libc.func("P", "signal", "iP")
_sigaction = libc.func("i", "sigaction", "iPP")
_kill = libc.func("i", "kill", "ii")
_getpid = libc.func("i", "getpid", "")
_exit = libc.func("v", "_exit", "i")

_SIGINT = 2
_SIGALRM = 14
_SIGIO = 29
_FIONREAD = 0x541B
_CONTROL = 3

# --- Time. It begins with the power or a reset of the chip, and goes on over a soft reset.


def _now():
    return utime.ticks_us()


born = int(uos.getenv("BOARD_BORN") or _now())  # microseconds


# --- What pre-empts a program: a signal's handler, and a function that it schedules.

_SOON = array.array("l", [0, 5000, 0, 5000])
_NEVER = array.array("l", [0, 0, 0, 0])
_next = array.array("l", [0, 5000, 0, 0])
_queued = False
_kicked = False
_late = False
_held = False  # timers may be due: they were masked
_interrupting = False
_callback = None
interrupt_char = -2  # the byte that interrupts, as micropython.kbd_intr sets it; see wanted
wanted = False  # somebody interrupted while interrupt_char was -2: neither program nor REPL is on
masked = 0  # machine.disable_irq
_stdin = -1  # the descriptor of the serial port; the program reads another one's end: see plug
_fifo = -1
_count = array.array("i", [0])  # the handler's, as _bytes
_waiting = array.array("i", [0])
_bytes = bytearray(256)
_moved = False  # bytes came
_talk = None  # until when more are waited for, by the clock
_SILENCE = 500000


# It runs between two instructions of anything, so it must not use memory. A signal may come just
# before the program begins to wait in the kernel, and wakes nobody then: another one follows soon.
def _handler(_):
    global _queued
    if _stdin >= 0:
        _pump()
    if not _queued:
        _queued = True
        try:
            micropython.schedule(_service, 0)
        except RuntimeError:
            _queued = False
    _setitimer(0, _SOON, 0)


# Moves what came by the serial port to where the program reads it, and sees the interrupt.
def _pump():
    global _interrupting, _moved, wanted
    while True:
        _ioctl(_stdin, _FIONREAD, _count)
        n = _count[0]
        if n <= 0:
            return
        _ioctl(0, _FIONREAD, _count)
        if _count[0] > 2048:
            return
        n = _read(_stdin, _bytes, 256)
        i = kept = 0
        while i < n:
            c = _bytes[i]
            if c == interrupt_char:
                if not _interrupting:
                    _interrupting = True
                    _kill(_pid, _SIGINT)
            elif c == 3 and interrupt_char == -2:
                wanted = True
            else:
                _bytes[kept] = c
                kept += 1
            i += 1
        _moved = True
        if kept:
            _write(_fifo, _bytes, kept)


def _service(_):
    global _queued, _kicked, _late, _held, _interrupting
    _queued = _kicked = False
    try:
        _interrupting = False
        if DIR:
            _listen()
            _look()
        _held = masked
        if masked:
            _setitimer(0, _SOON, 0)
        else:
            _run()
            _arm()
            if _late:
                _late = False
                _kill(_pid, _SIGINT)
        if _queued or _kicked:
            _setitimer(0, _SOON, 0)
    except KeyboardInterrupt:  # it was meant for the program
        _setitimer(0, _SOON, 0)
        _kill(_pid, _SIGINT)


# The lock of MicroPython's scheduler is recursive, but not against a signal in the moment between
# taking it and noting who has it: it could wait for itself. So while bytes come, the serial port
# is looked at by the clock, whose signal is a while after the last; SIGIO is for the first.
def _look():
    global _moved, _talk
    if _stdin < 0:
        return
    if _moved:
        _moved = False
        if _talk is None:
            _fcntl(_stdin, 4, 0)  # F_SETFL
        _talk = _now() + _SILENCE
    elif _talk is not None and _talk < _now():
        _talk = None
        _fcntl(_stdin, 4, 0x2000)  # O_ASYNC


def interrupt():
    """Has KeyboardInterrupt come to the program, once nothing is masked."""
    global _late
    _late = True
    kick()


def serve():
    """Has what was masked run in the next jump."""
    global _queued
    if _held and not masked and not _queued:
        _queued = True
        try:
            micropython.schedule(_service, 0)
        except RuntimeError:
            _queued = False


def kick():
    """Has the signal come soon, again and again, until _service has run: what was scheduled before
    it runs then too, also where the program waits in the kernel."""
    global _kicked
    _kicked = True
    if _callback:
        _setitimer(0, _SOON, 0)


def guard(do, *args):
    """Calls what a program has for an event; what it raises is printed, and ends nothing."""
    try:
        do(*args)
    except BaseException as e:  # as MicroPython does with what a callback raises
        report(e)


def _arm():
    """Asks for the signal when the next timer is due."""
    due = None
    for t in _timers:
        if t and (due is None or t.due < due):
            due = t.due
    if _dirty and (due is None or _flushed + 20000 < due):
        due = _flushed + 20000
    if _stdin >= 0:
        _ioctl(_stdin, _FIONREAD, _waiting)
        if _waiting[0] > 0 or _talk is not None:
            soon = _now() + 5000
            due = soon if due is None else min(due, soon)
    if due is None:
        _setitimer(0, _NEVER, 0)
        return
    wait = max(200, due - _now())
    _next[2], _next[3] = wait // 1000000, wait % 1000000
    _setitimer(0, _next, 0)


def _start():
    global _callback, _pid
    if _callback:
        return
    _pid = _getpid()
    _callback = ffi.callback("v", _handler, "i", lock=True)
    # struct sigaction: the handler, a mask of 1024 bits, flags. Without SA_RESTART a program that
    # waits in the kernel is woken; while the handler runs, none of these signals comes.
    action = array.array("Q", bytes(160))
    for s in (_SIGALRM, _SIGIO):
        _signal(s, _callback)
        _sigaction(s, 0, action)
        action[1] = 1 << _SIGINT - 1 | 1 << _SIGALRM - 1 | 1 << _SIGIO - 1
        action[17] = 0
        _sigaction(s, action, 0)


def _tell_me(fd):
    """Has the kernel send SIGIO when bytes arrive."""
    _fcntl(fd, 8, _pid)  # F_SETOWN
    _fcntl(fd, 4, _fcntl(fd, 3, 0) | 0x2000)  # F_SETFL, O_ASYNC


# --- Timers: what has `due` and `fire()`.

_timers = [None] * 16  # as many alarms as the RP2040's pool has


def start_timer(t, us):
    """Calls t.fire() in so many microseconds; it gives those until the next time, or None."""
    stop_timer(t)
    for i in range(len(_timers)):
        if _timers[i] is None:
            t.due = _now() + us
            _timers[i] = t
            _start()
            _arm()
            return
    raise OSError(errno.ENOMEM)


def stop_timer(t):
    for i in range(len(_timers)):
        if _timers[i] is t:
            _timers[i] = None


report = sys.print_exception


def _run():
    now = _now()
    for i in range(len(_timers)):
        t = _timers[i]
        if not t or t.due > now:
            continue
        again = t.again
        if again is None:
            _timers[i] = None
        else:
            t.due += again
            if t.due <= now:
                t.due = now + again
        try:
            t.fire()
        except KeyboardInterrupt:
            raise  # _service has it come to the program
        except BaseException as e:  # as MicroPython does with what a callback raises
            report(e)
    if _dirty and now - _flushed >= 20000:
        _flush()


# --- The control line.

inputs = {}  # what somebody outside put on a pin
radio = True  # whether networks are in range
on_input = None  # called with a pin's number and level when it changes
_line = ""
_ends = array.array("i", [_CONTROL, 0])


def tell(line):
    """Says a line to the chip, if there is one."""
    if not DIR:
        return
    raw = line.encode() + b"\n"
    while _write(_CONTROL, raw, len(raw)) < 0:
        if uos.errno() != 4:  # EINTR
            _exit(1)  # the chip is gone


def _listen():
    while True:
        _ends[1] = 1  # events: POLLIN
        if _poll(_ends, 1, 0) <= 0:
            return
        _ioctl(_CONTROL, _FIONREAD, _waiting)
        n = _waiting[0]
        if n == 0:
            _exit(1)  # it must not survive the chip
        room = bytearray(n)
        n = _read(_CONTROL, room, n)
        _obey(bytes(room[:n]).decode())


def _obey(text):
    """Does what the chip says; a word that is none is passed over."""
    global _line, radio
    *lines, _line = (_line + text).split("\n")
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[0] == "pin":
            put(int(words[1]), int(words[2]))
        elif len(words) == 2 and words[0] == "wifi":
            radio = words[1] == "1"


def put(pin, value):
    """Puts a level on an input, as somebody outside does."""
    before = inputs.get(pin)
    inputs[pin] = value
    if on_input and before != value:
        on_input(pin, value)


# --- Pins: what is told of them. Changes within 20 ms are one.

pins = {}  # number: (mode, value), as set
_dirty = set()
_flushed = 0


def pin(number, mode, value):
    """Tells a pin's mode (in, out, pullup, pulldown, pwm, adc, none) and level."""
    if pins.get(number) == (mode, value):
        return
    pins[number] = mode, value
    if not DIR:
        return
    _dirty.add(number)
    if _now() - _flushed >= 20000:
        _flush()
    elif len(_dirty) == 1:
        _arm()


def _flush():
    global _flushed
    _flushed = _now()
    while _dirty:
        number = _dirty.pop()
        tell("pin %d %s %d" % ((number,) + pins[number]))


# --- Memory that outlives a reset but no loss of power: the watchdog's scratch registers.

_SCRATCH = 32


def scratch():
    """A bytearray of 32 bytes, in a file that the chip forgets with the power."""
    global _kept
    if _kept is None:
        _kept = bytearray(_SCRATCH)
        if DIR:
            # O_RDWR, O_CREAT
            opened = libc.func("i", "open", "sii")(DIR + "/rtc.bin", 0x42, 0o600)
            if opened >= 0:
                libc.func("i", "ftruncate", "il")(opened, _SCRATCH)
                # PROT_READ | PROT_WRITE, MAP_SHARED
                at = libc.func("P", "mmap", "PLiiil")(0, _SCRATCH, 3, 1, opened, 0)
                if at > 0:
                    _kept = uctypes.bytearray_at(at, _SCRATCH)
    return _kept


_kept = None


def mac():
    """The MAC address that the chip was born with, 6 bytes."""
    import json
    from binascii import unhexlify

    return unhexlify(json.loads(_fuses)["mac"])


_fuses = '{"mac": "020000000001"}'
if DIR:
    with open(DIR + "/efuse.json") as f:
        _fuses = f.read()

# --- The clock.

clock_offset = 0  # of the real-time clock from the host's, seconds


def set_clock(seconds):
    global clock_offset
    clock_offset = seconds - int(utime.time())


if uos.getenv("BOARD_TIME"):
    set_clock(int(uos.getenv("BOARD_TIME")))

# --- Beginning and ends.

_STDIN = 60  # the serial port, once standard input is the pipe behind it
_FIFO = 61


def begin():
    """Takes the serial port and the control line in hand."""
    global _stdin, _fifo, _line
    before = uos.getenv("BOARD_INPUTS")
    dup2 = libc.func("i", "dup2", "ii")
    if before is None:
        ends = array.array("i", [0, 0])
        libc.func("i", "pipe", "P")(ends)
        dup2(0, _STDIN)
        dup2(ends[0], 0)
        dup2(ends[1], _FIFO)
        close = libc.func("i", "close", "i")
        close(ends[0])
        close(ends[1])
    else:
        _obey(before)
    _stdin, _fifo = _STDIN, _FIFO
    _start()
    _listen()
    _tell_me(_CONTROL)
    _tell_me(_STDIN)
    _kill(_pid, _SIGIO)  # for what came before


def again(mode):
    """A soft reset: the process begins anew, with the same descriptors and number."""
    if _dirty:
        _flush()
    _setitimer(0, _NEVER, 0)
    for s in (_SIGALRM, _SIGIO):
        _signal(s, 1)  # SIG_IGN
    lines = ["pin %d %d" % level for level in inputs.items()]
    uos.putenv("BOARD_INPUTS", "\n".join(lines + ["wifi %d" % radio, ""]))
    uos.putenv("BOARD_SOFT", mode)
    uos.putenv("BOARD_BORN", str(born))
    if clock_offset or uos.getenv("BOARD_TIME"):
        uos.putenv("BOARD_TIME", str(int(utime.time()) + clock_offset))
    # rom.py was given how it was started: the program and its arguments.
    words = [s.encode() + b"\0" for s in sys.argv[1:] * 2]
    argv = array.array("Q", [uctypes.addressof(w) for w in words] + [0])
    libc.func("i", "execv", "sP")(sys.argv[1], argv)
    _exit(1)


def end(status):
    """Ends the process as firmware/chip/README.md says; without a chip, by SystemExit."""
    if not DIR:
        raise SystemExit(status)
    if _dirty:
        _flush()
    _exit(status)
