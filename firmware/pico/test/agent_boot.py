# What the bootloader makes of a reset by the watchdog.
import machine

import flota_boot


def cause(reason, looked_up):
    machine.mem32[flota_boot._SCRATCH] = 0
    machine._reason = reason
    machine.mem32[flota_boot._NAMES] = looked_up
    return flota_boot._cause()


class Silent(Exception):
    pass


def silent(*args):
    raise Silent(machine.mem32[flota_boot._NAMES])


assert cause(0, 0) == "power"
assert cause(1, 0) == "watchdog"
assert cause(2, 0) == "software"
# DNS servers that are silent for longer than the watchdog waits are no fault of a release.
assert cause(1, 1) == "power"
assert machine.mem32[flota_boot._NAMES] == 0
assert cause(1, 0) == "watchdog"
import socket  # noqa: E402

known, socket.getaddrinfo = socket.getaddrinfo, silent
try:
    flota_boot.resolve("flota.local", 80)
    raise SystemExit("it was not asked")
except Silent as e:
    assert e.args[0] == 1, "a reset meanwhile would be the release's fault"
socket.getaddrinfo = known
assert machine.mem32[flota_boot._NAMES] == 0
assert flota_boot.resolve("127.0.0.1", 80)
print("ok causes of a start")


# What runs in the middle of a file operation finds it marked.
import gc  # noqa: E402
import os  # noqa: E402
import vfs  # noqa: E402

import flash  # noqa: E402
import rp2  # noqa: E402

seen = set()


class Watched(flash.Flash):
    fail = None

    def readblocks(self, block, buf, offset=0):
        super().readblocks(block, buf, offset)
        self.events()

    def writeblocks(self, block, buf, offset=None):
        super().writeblocks(block, buf, offset)
        self.events()

    def events(self):
        seen.add(flota_boot.busy)
        if self.fail:
            raise self.fail


def use(block, buf, offset):
    """What is called by whom is to use no heap: keeps how much is in use."""
    used[0] = gc.mem_alloc()


def large(block, buf, offset):
    try:
        use(block, buf, offset)
    finally:
        pass


used = [0]
gc.collect()
rp2._flash = device = Watched(flash.blank(8))
vfs.VfsLfs2.mkfs(device, progsize=256)
before = vfs.VfsLfs2(device, progsize=256)
vfs.umount("/")
vfs.mount(before, "/")
with open("/kept", "w") as f:
    f.write("kept")
# It cannot be mounted anew: as it was.
device.fail = OSError(5)
flota_boot.mount()
assert vfs.mount()[0][0] is before and flota_boot.busy == 0
device.fail = None
# Nor where there is no flash to be had.
rp2._flash = None
flota_boot.mount()
assert vfs.mount()[0][0] is before
rp2._flash = device
seen.clear()
flota_boot.mount()
assert len(vfs.mount()) == 1 and vfs.mount()[0][0] is not before
with open("/kept") as f:
    assert f.read() == "kept"
with open("/new", "w") as f:
    f.write("new" * 1000)
os.rename("/new", "/other")
assert seen == {1}, seen
assert flota_boot.busy == 0
# What is raised, Ctrl-C, leaves no mark.
for device.fail in (KeyboardInterrupt(), OSError(5)):
    for do in (os.stat, os.mkdir):
        try:
            do("/new")
            raise SystemExit("it was not raised")
        except (KeyboardInterrupt, OSError) as e:
            assert e is device.fail and flota_boot.busy == 0
device.fail = None
print("ok a file operation that is under way is marked")

# The marks need no heap: nothing is collected, and no forgotten file closed, in the middle.
flota_boot._read = flota_boot._write = use
read, write = flota_boot._Flash.readblocks, flota_boot._Flash.writeblocks
use(0, 0, 0)
before = used[0]
read(0, 0, 0)
assert used[0] == before, used[0] - before
write(0, 0, 0)
assert used[0] == before, used[0] - before
large(0, 0, 0)
assert used[0] > before, "it would not be seen"
print("ok no heap between blocks")
