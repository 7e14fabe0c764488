"""The bootloader of slots: chooses which release starts, and gives a new one a single start.

Layout and states: README.md beside this file. Written by cable, never by an update.
"""

import gc
import os
import sys
import time

import machine

SLOTS = "ab"
FILE = "/flota/slot"  # "<slot> <state>" LF
CRASH = "/flota/crash"  # what ended a start that had no agent to tell
WATCHDOG_MS = 8300  # an RP2040 counts to 8388
_CHIP = sys.implementation._machine
# The watchdog's registers (RP2040 datasheet 4.7.6, RP2350 datasheet 12.9.7).
_REGISTERS = 0x400D8000 if "RP2350" in _CHIP else 0x40058000
_REASON = _REGISTERS + 0x08  # bit 0: its timer ran out; bit 1: it was asked for
_SCRATCH = _REGISTERS + 0x0C  # kept over resets, not over a loss of power
_ARMED = _REGISTERS + 0x10  # 1: the watchdog was armed; a soft reset does not stop it
_NAMES = _REGISTERS + 0x14  # 1: a name is being looked up
_WORD = 0x3FFFFFFF

slot = None  # that runs: "a", "b", or None where no release fits
pending = False  # it has only this start
cause = "power"  # of this start: power, watchdog, software
wdt = None
busy = 0  # not 0: half way through a file operation, whoever comes between must touch no file


class _Flash:
    """rp2.Flash, marked: after each block it runs what is scheduled, half way through LittleFS's
    operation, which bears no other within it.

    No jump is here, for the VM runs what is scheduled there; and no frame of more than 11 words,
    as `finally` takes, for that is of the heap, whose collector closes forgotten files.
    """

    @staticmethod
    def readblocks(block, buf, offset):
        global busy
        busy += 1
        try:
            _read(block, buf, offset)
            busy -= 1
            return
        except:  # noqa: E722: Ctrl-C
            busy -= 1
            raise

    @staticmethod
    def writeblocks(block, buf, offset):
        global busy
        busy += 1
        try:
            _write(block, buf, offset)
            busy -= 1
            return
        except:  # noqa: E722
            busy -= 1
            raise


def mount():
    """Mounts / anew, over _Flash. No file may be open. Where it fails, all stays as it was."""
    global _read, _write
    try:
        import rp2
        import vfs

        flash = rp2.Flash()
        _read, _write, _Flash.ioctl = flash.readblocks, flash.writeblocks, flash.ioctl
        files = vfs.VfsLfs2(_Flash, progsize=256)  # as rp2's _boot.py has it
        vfs.umount("/")
        vfs.mount(files, "/")
    except Exception as error:  # a start goes on, whatever it is
        sys.print_exception(error)


def other(name=None):
    """The slot that does not run, or that is not `name`."""
    return "b" if (name or slot) == "a" else "a"


def replace(path, text):
    """Replaces a file whole or not at all, and makes its folder where it is missing."""
    folder = path[: path.rfind("/")]
    try:
        os.mkdir(folder)
    except OSError:
        pass  # it is there, or the next line tells
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def read():
    """What is written down: (slot, state), or (None, None) where that cannot be read."""
    try:
        with open(FILE) as f:
            name, state = f.read(16).split()
        if name in ("a", "b") and state in ("new", "pending", "aborted", "valid"):
            return name, state
    except (OSError, ValueError, UnicodeError):
        pass
    return None, None


def mark(name, state):
    """Writes down which slot is to start next. Raises OSError."""
    if read() != (name, state):
        replace(FILE, "%s %s\n" % (name, state))


def tick():
    """Feeds the watchdog, and notes how late it is: a soft reset does not set the clock back."""
    if wdt:
        wdt.feed()
    machine.mem32[_SCRATCH] = time.ticks_add(time.ticks_ms(), 500) & _WORD


def _marked(name, state):
    """As mark(); False where the flash is full, or worn: that must keep nothing from starting."""
    try:
        mark(name, state)
        return True
    except OSError:
        return False


def resolve(*args):
    """socket.getaddrinfo, which waits for silent DNS servers longer than the watchdog does.

    A reset meanwhile is the network's fault, and not the release's.
    """
    import socket

    tick()
    machine.mem32[_NAMES] = 1
    try:
        return socket.getaddrinfo(*args)
    finally:
        machine.mem32[_NAMES] = 0
        tick()


def _cause():
    stamp = machine.mem32[_SCRATCH] & _WORD
    if 0 < stamp <= time.ticks_ms():
        return "software"  # a soft reset: the clock went on
    machine.mem32[_ARMED] = 0
    looked_up = machine.mem32[_NAMES] == 1
    machine.mem32[_NAMES] = 0
    reason = machine.mem32[_REASON] & 3
    if looked_up and reason & 1:
        return "power"  # the network's fault, which counts for nothing
    return "watchdog" if reason & 1 else "software" if reason else "power"


def has_release(name):
    """Whether there is an index in a slot."""
    try:
        os.stat("/%s/.index" % name)
        return True
    except OSError:
        return False


def fits(name):
    """Whether each file that a slot's index names is there, byte for byte."""
    from binascii import hexlify
    from hashlib import sha256

    room = bytearray(512)
    view = memoryview(room)
    try:
        with open("/%s/.index" % name) as index:
            for line in index:
                digest, size, path = line.rstrip("\n").split(" ", 2)
                hasher = sha256()
                with open("/%s/%s" % (name, path), "rb") as f:
                    while True:
                        n = f.readinto(room)
                        if not n:
                            break
                        hasher.update(view[:n])
                if hexlify(hasher.digest()).decode() != digest:
                    return False
        return True
    except (OSError, ValueError, UnicodeError):
        return False


def start():
    """Chooses the slot, marks it, arms the watchdog where it is pending, puts it on sys.path."""
    global slot, pending, cause, wdt
    cause = _cause()
    name, state = read()
    if state == "new" and has_release(name) and _marked(name, "pending"):
        pending = True
    elif state != "valid" and name:
        _marked(name, "aborted")
        name = other(name)
    if name is None or not has_release(name):
        name = "a" if fits("a") else "b" if fits("b") else None
        if name is None:
            print("flota: no slot holds a whole release; it takes the cable")
            return None
        _marked(name, "valid")
    if pending or machine.mem32[_ARMED] == 1:
        wdt = machine.WDT(timeout=WATCHDOG_MS)
        machine.mem32[_ARMED] = 1
    slot = name
    tick()
    sys.path.insert(0, "/" + name + "/lib")  # where packages are, as in a project
    sys.path.insert(0, "/" + name)
    return name


def text_of(error, most=1000):
    """The end of the trace of an exception, as text."""
    from io import StringIO

    out = StringIO()
    sys.print_exception(error, out)
    return out.getvalue()[-most:]


def boot():
    """boot.py: starts the slot's agent. What cannot even do that does not stay."""
    mount()
    if start() is None:
        return
    import gc

    gc.threshold(4096)  # what stays is packed, and leaves room for what TLS takes in one piece
    try:
        import flota_agent

        flota_agent.boot()
    except Exception as error:  # whatever it is, a new release must not end here
        sys.print_exception(error)
        fail(error)
    finally:
        gc.collect()
        gc.threshold(-1)


def fail(error):
    """A start without an agent ended: back at once, or to the other slot, or on without one."""
    if pending:
        try:
            replace(CRASH, text_of(error))
        except (OSError, MemoryError):
            pass  # it goes back all the same
        _marked(slot, "aborted")  # one that stays pending had its start, too
        machine.reset()
    # One that was good and lost files: the other slot gets a start, once.
    if read() == (slot, "valid") and not fits(slot) and fits(other()):
        if _marked(other(), "new"):
            machine.reset()


def _tell(what, *given):
    """Tells the agent, where there is one. No fault of its own keeps the program from running, or
    a new release from going back: then it answers None."""
    agent = sys.modules.get("flota_agent")
    if not agent:
        return None
    try:
        return getattr(agent, what)(*given)
    except Exception as error:
        sys.print_exception(error)


def run(names):
    """main.py: runs the slot's program in the globals `names`, and sees to what ended it."""
    if slot is None:
        return
    os.chdir("/" + slot)
    _tell("started")
    try:
        names.pop("flota_boot", None)
        execfile("/%s/main.py" % slot, names)  # noqa: F821: MicroPython's
        error = None
    except Exception as e:
        error = e
    except SystemExit:
        _tell("leaving")
        raise
    finally:
        _tell("stopped")
    if error is None:
        return
    if isinstance(error, MemoryError):
        names.clear()  # what the program still holds is needed now
        gc.collect()
    sys.print_exception(error)
    wait = _tell("ended", error)
    if wait is None:
        names.clear()
        gc.collect()
        fail(error)
        wait = 60000
    _start_again(wait)


def _start_again(wait):
    """Starts the machine again after `wait` ms, unless somebody presses a key."""
    import select

    keys = select.poll()
    keys.register(sys.stdin, select.POLLIN)
    for _ in range(512):  # what was typed before is no answer
        if not keys.poll(0) or not sys.stdin.read(1):
            break
    print("flota: starts again in %d s; a key stops that" % (wait // 1000))
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < wait:
        for _ in keys.ipoll(0):
            sys.stdin.read(1)
            return
        time.sleep_ms(20)
        if wdt and "flota_agent" not in sys.modules:
            wdt.feed()
    machine.reset()
