"""A Pico's start on the flash of a file: agent_heap_board.py FLASH [KIB]. For agent_heap.py.

Without KIB it says at each new peak how much more is in use than when the modules were loaded;
with it so much of the heap is left to the agent, and the rest is taken by something else. It ends
as the machine does that the agent starts again: with status 64.
"""

import gc
import sys
import time
import vfs

import machine  # noqa: F401
import network
import rp2  # noqa: F401
from flash import BLOCK, Flash

ERASED = b"\xff" * BLOCK
base = peak = 0


def sample():
    global peak
    if base:
        gc.collect()
        now = gc.mem_alloc() - base
        if now > peak:
            peak = now
            print("peak=%d" % peak)


class Watched(Flash):
    """Looks at the heap where most is in use: deep in the file system."""

    def readblocks(self, *args):
        sample()
        super().readblocks(*args)

    def ioctl(self, op, arg):
        if op != 6:
            return super().ioctl(op, arg)
        sample()
        self._program(arg * BLOCK, ERASED)  # the flash of a Pico erases without memory of the heap
        return 0


device = Watched(open(sys.argv[1], "r+b"))
left = int(sys.argv[2]) * 1024 if sys.argv[2:] else 0
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(device, progsize=256), "/")
sys.path[:] = ["", "/lib"]

import flota_boot  # noqa: E402

flota_boot.start()
gc.collect()
gc.threshold(4096)
before = gc.mem_alloc()
import flota_agent  # noqa: E402
import flota_cable  # noqa: E402,F401

gc.collect()
gc.threshold(-1)
print("resident=%d" % (gc.mem_alloc() - before))
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("shed", "12345678")
while not wlan.isconnected():
    time.sleep_ms(10)
gc.collect()
gc.collect()
if not left:
    base = gc.mem_alloc()
else:
    # All of the heap is taken, also the holes in it, and what is asked for is given back.
    ballast = given = None
    for size in (1024, 256, 64, 16):
        try:
            while True:
                ballast = (ballast, bytearray(size))
                if not given and gc.mem_free() < left + 16384:
                    given = bytearray(left)
        except MemoryError:
            pass
    given = None
    gc.collect()
agent = flota_agent.agent()
while True:
    agent.step()
    sample()
    time.sleep_ms(1)
