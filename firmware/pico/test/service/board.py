"""A Pico that runs the upload service, for the tests: MicroPython with a flash in a file.

    micropython -X heapsize=512K board.py IMAGE BLOCKS FILES [cut=BYTES] [worn=BLOCK,BLOCK]

IMAGE is made where it is not; FILES is the folder whose files are copied to its root then. Then it
runs the flash's main.py, and whatever Python comes by standard input, a line at a time, beside it.
It tells what happens by lines on standard output.
"""

import gc
import os
import sys

here = __file__[:__file__.rfind("/") + 1] or "./"
sys.path.insert(0, here + "../../virtual")

import _board  # noqa: E402
import _time  # noqa: E402
import asyncio  # noqa: E402
import asyncio.lock  # noqa: E402,F401
import hashlib  # noqa: E402,F401
import json  # noqa: E402,F401
import machine  # noqa: E402,F401
import network  # noqa: E402,F401
import select  # noqa: E402
import vfs  # noqa: E402
from flash import BLOCK, Flash  # noqa: E402

sys.modules["time"] = _time  # its ticks begin anew, as a Pico's
HEAP = 190 * 1024 - 1088  # bytes free for the program, as at -X heapsize=190K


class Board:
    """What the lines by standard input know as `board`."""

    def __init__(self):
        self.base = 0
        self.peak = 0

    def measure(self):
        """From here on, the most memory in use beyond what is in use now is kept in peak."""
        machine.Timer(period=3, callback=self.sample)
        gc.collect()
        self.peak = 0
        self.base = gc.mem_alloc()

    def sample(self, _=None):
        if self.base:
            gc.collect()
            self.peak = max(self.peak, gc.mem_alloc() - self.base)

    def later(self, days):
        """Moves its clock on."""
        _time._born -= days * 86400 * 1000000

    def copy(self, source, target):
        """A plain copy on the same file system; how long it took in microseconds."""
        import time

        buffer = memoryview(bytearray(BLOCK))
        begin = time.ticks_us()
        with open(source, "rb") as f, open(target, "wb") as g:
            while n := f.readinto(buffer):
                g.write(buffer[:n])
        return time.ticks_diff(time.ticks_us(), begin)


class Watched(Flash):
    """Looks at the heap where most is in use: deep in a write."""

    def ioctl(self, op, arg):
        if op == 6:
            board.sample()
        return super().ioctl(op, arg)


def tell(what, *more):
    print("@" + what, *more)


def cut():
    tell("cut")
    _board._exit(9)


def install(folder, target):
    for name, kind, *_ in os.ilistdir(folder):
        if kind == 0x4000:
            os.mkdir(target + "/" + name)
            install(folder + "/" + name, target + "/" + name)
        else:
            with open(folder + "/" + name, "rb") as f, open(target + "/" + name, "wb") as g:
                while data := f.read(4096):
                    g.write(data)


async def listen():
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    line = ""
    while True:
        while poll.poll(0):
            line = sys.stdin.readline()
            if not line:
                _board._exit(0)
            base, board.base = board.base, 0
            try:
                exec(line, world)
            except Exception as e:
                tell("error", repr(e))
            tell("done")
            board.base = board.base or base
            base = line = None
        await asyncio.sleep_ms(10)


def main():
    image, blocks, files = sys.argv[1:4]
    options = dict(o.split("=") for o in sys.argv[4:])
    try:
        store = open(image, "r+b")
    except OSError:
        with open(image, "wb") as f:
            for _ in range(int(blocks)):
                f.write(b"\xff" * BLOCK)
        store = open(image, "r+b")
        flash = Flash(store)
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/.flash")
        install(files, "/.flash")
        vfs.umount("/.flash")
    flash = Watched(store)
    if "cut" in options:
        flash.left = int(options["cut"])
        flash.on_cut = cut
    flash.worn = [int(b) for b in options.get("worn", "").split(",") if b]
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    world["flash"] = flash
    world["tell"] = tell
    world["board"] = board
    asyncio.create_task(listen())
    gc.collect()
    # What stands in for the chip takes memory that a Pico has apart.
    world["ballast"] = bytearray(gc.mem_free() - HEAP)
    gc.collect()
    tell("started", gc.mem_free())
    with open("/main.py") as f:
        exec(f.read(), world)


board = Board()
world = {"__name__": "__main__", "gc": gc, "os": os}
main()
