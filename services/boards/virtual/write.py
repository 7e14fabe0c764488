"""Writes files to a Pico's flash as a cable does: what a slot held before goes, all else stays.

    micropython write.py FLASH FOLDER

It runs on MicroPython, in a sandbox: the file system is what a stranger's program left.
FLASH is a copy, which counts when this ends well. FOLDER holds the files as they are to be
from the root on; a slot that is in it is in it whole.
"""

import os
import sys
import vfs

sys.path.insert(0, "/micropython/virtual")
from flash import Flash  # noqa: E402

FOLDER = 0x4000


def remove(path):
    for name, kind, *_ in list(os.ilistdir(path)):
        name = path + "/" + name
        if kind == FOLDER:
            remove(name)
            os.rmdir(name)
        else:
            os.remove(name)


def copy(source, target):
    for name, kind, *_ in sorted(os.ilistdir(source)):
        there, here = source + "/" + name, target + "/" + name
        if kind == FOLDER:
            make(here)
            copy(there, here)
        else:
            with open(there, "rb") as f, open(here, "wb") as g:
                buffer = memoryview(bytearray(4096))
                while n := f.readinto(buffer):
                    g.write(buffer[:n])


def make(folder):
    try:
        if os.stat(folder)[0] & FOLDER:
            return
        os.remove(folder)
    except OSError:
        pass
    os.mkdir(folder)


def write(store, folder):
    flash = Flash(store)
    try:
        fs = vfs.VfsLfs2(flash, progsize=256, mtime=False)
    except OSError:  # there is none any more
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        fs = vfs.VfsLfs2(flash, progsize=256, mtime=False)
    vfs.mount(fs, "/.flash")
    try:
        for slot in "ab":
            if slot in os.listdir(folder):
                make("/.flash/" + slot)
                remove("/.flash/" + slot)
        copy(folder, "/.flash")
    finally:
        vfs.umount("/.flash")


if __name__ == "__main__":
    with open(sys.argv[1], "r+b") as f:
        try:
            write(f, sys.argv[2])
        except OSError as e:
            print("errno", e.errno)
            sys.exit(1)
