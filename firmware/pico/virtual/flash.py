"""The flash of a Pico without hardware: what rp2.Flash is to LittleFS, over a file or memory.

Used as MicroPython's extended block protocol wants it (docs.micropython.org: AbstractBlockDev):
blocks of 4096 bytes, programmed in pages of 256, each erased before it is programmed again. It can
fail as real flash does.
"""

from micropython import const

BLOCK = const(4096)
PAGE = const(256)
_ERASED = b"\xff" * BLOCK  # made once: the heap that it lies in is the board's


class PowerCut(BaseException):
    """The power is gone: nothing after this happens."""


class Flash:
    """A block device.

    store     whole blocks: a bytearray, or a file open for reading and writing in binary
    cut       after so many bytes programmed (an erased block counts 4096) the power is cut in the
              middle of the write: what was written until then stays, the byte under way is lost
    on_cut    called at the cut; where it returns, PowerCut is raised there and at every use from
              then on
    worn      numbers of blocks that keep nothing: a program there leaves them erased
    """

    def __init__(self, store, cut=None, on_cut=None, worn=()):
        self.store = store
        self.memory = isinstance(store, bytearray)
        self.size = len(store) if self.memory else store.seek(0, 2)
        if self.size % BLOCK:
            raise ValueError("flash: not whole blocks")
        self.left = cut
        self.on_cut = on_cut
        self.worn = worn
        self.written = 0  # bytes, as counted for cut
        self.dead = False

    def _write(self, at, data):
        if self.memory:
            self.store[at: at + len(data)] = data
        else:
            self.store.seek(at)
            self.store.write(data)
            self.store.flush()

    def _program(self, at, data):
        if self.dead:
            raise PowerCut
        if self.left is not None and self.left < len(data):
            self._write(at, memoryview(data)[: self.left])
            self.written += self.left
            self.dead = True
            if self.on_cut:
                self.on_cut()
            raise PowerCut
        if self.left is not None:
            self.left -= len(data)
        self._write(at, data)
        self.written += len(data)

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            raise PowerCut
        at = block * BLOCK + offset
        if self.memory:
            buf[:] = memoryview(self.store)[at: at + len(buf)]
        else:
            self.store.seek(at)
            self.store.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            offset = 0
            self.ioctl(6, block)
        if block in self.worn:
            return
        self._program(block * BLOCK + offset, buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self.size // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            self._program(arg * BLOCK, _ERASED)
            return 0
        if op == 3 and not self.memory:
            self.store.flush()


def blank(blocks):
    """Memory for a flash that was never written: for tests."""
    return bytearray(b"\xff" * (blocks * BLOCK))
