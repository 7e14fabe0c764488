"""A Pico that stands alone, with the upload service: its flash is an image.

    GIVEN='{"virtual": …}' micropython serve.py

virtual    folder firmware/pico/virtual of the host
image      LittleFS, with the service's modules
port       where it serves, as admin, "a long password"
cut        the power goes after so many bytes written, in the middle of the write: status 99
worn       numbers of blocks that keep nothing
writes     print a line "write <from> <to>" for each write
hurry      how much faster than the world's the service's clock goes
"""

import ffi
import json
import os
import sys
import vfs

given = json.loads(os.getenv("GIVEN"))
sys.path.insert(0, given["virtual"])
from flash import Flash  # noqa: E402

_exit = ffi.open("libc.so.6").func("v", "_exit", "i")


class Told(Flash):
    """A flash that tells what is written to it."""

    def _program(self, at, data):
        print("write", self.written, self.written + len(data))
        super()._program(at, data)


class Machine:
    """What the service asks of the chip."""

    def reset():
        _exit(64)


class WiFi:
    def is_connected(self):
        return True


class Hurried:
    """The module time, faster."""

    def __init__(self, time, factor):
        self.ticks_add = time.ticks_add
        self.ticks_diff = time.ticks_diff
        self.ticks_ms = lambda: time.ticks_add(time.ticks_ms() * factor, 0)


flash = (Told if given.get("writes") else Flash)(
    open(given["image"], "r+b"),
    cut=given.get("cut"),
    on_cut=lambda: _exit(99),
    worn=given.get("worn", ()),
)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
sys.path[:] = ["", ".frozen", "/lib"]
sys.modules["machine"] = Machine

import asyncio  # noqa: E402
import service_ota  # noqa: E402

if given.get("hurry"):
    import time

    service_ota.time = Hurried(time, given["hurry"])


async def main():
    ota = service_ota.OTAUpdateService(WiFi(), "admin", "a long password", given["port"])
    await ota.start()
    while True:
        await asyncio.sleep(1)


asyncio.run(main())
