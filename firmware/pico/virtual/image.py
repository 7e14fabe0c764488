"""Makes the image of a Pico's file system from a folder: LittleFS 2, as rp2's _boot.py mounts it.

    micropython image.py OUT.bin BYTES FOLDER

BYTES is what the board has for its file system (848 KiB = 868352 on a Pico W), a multiple of 4096.
The same folder makes the same image: nothing in it tells a time.
"""

import os
import sys
import vfs

from flash import BLOCK, Flash

DIRECTORY = 0x4000


def copy(source, target):
    """Copy all that a folder holds, in the order of the names."""
    for name, kind, *_ in sorted(os.ilistdir(source)):
        there, here = source + "/" + name, target + "/" + name
        if kind == DIRECTORY:
            os.mkdir(here)
            copy(there, here)
        else:
            with open(there, "rb") as f, open(here, "wb") as g:
                buffer = memoryview(bytearray(BLOCK))
                while n := f.readinto(buffer):
                    g.write(buffer[:n])


def make(out, size, folder):
    """Make the image; it is put in its place when it is whole. OSError 28: it is too small."""
    if size <= 0 or size % BLOCK:
        raise ValueError("the size is not whole blocks of %d bytes" % BLOCK)
    with open(out + ".new", "wb") as f:
        for _ in range(size // BLOCK):
            f.write(b"\xff" * BLOCK)
    with open(out + ".new", "r+b") as f:
        flash = Flash(f)
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        vfs.mount(vfs.VfsLfs2(flash, progsize=256, mtime=False), "/.image")
        try:
            copy(folder, "/.image")
        finally:
            vfs.umount("/.image")
    os.rename(out + ".new", out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print("usage: micropython image.py OUT.bin BYTES FOLDER", file=sys.stderr)
        sys.exit(2)
    make(sys.argv[1], int(sys.argv[2]), sys.argv[3].rstrip("/"))
