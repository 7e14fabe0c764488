"""Tells what the flash of a Pico holds: for a witness, who asks the flash and nobody else.

    micropython look.py <firmware/pico/virtual>

Reads a line with the path of an image (LittleFS, nothing else) and answers a line of JSON:
{path: [size, SHA-256, text], …}, the text only of the bootloader's and the agent's own files and
of indexes; {"error": why} where it does not mount.
"""

import json
import os
import sys
import vfs
from binascii import hexlify
from hashlib import sha256

FOLDER = 0x4000
TEXTS = ("/flota/slot", "/flota/agent", "/a/.index", "/b/.index")
room = memoryview(bytearray(4096))


def read(path):
    """Size, digest, and of some the text."""
    size, hasher, text = 0, sha256(), b""
    with open("/look" + path, "rb") as f:
        while n := f.readinto(room):
            size += n
            hasher.update(room[:n])
            if path in TEXTS:
                text += room[:n]
    told = [size, hexlify(hasher.digest()).decode()]
    if path in TEXTS:
        told.append("".join(chr(c) for c in text))
    return told


def walk(folder, found):
    for name, kind, *_ in os.ilistdir("/look" + folder):
        path = folder + "/" + name
        if kind == FOLDER:
            walk(path, found)
        else:
            found[path] = read(path)


def look(image):
    found = {}
    try:
        with open(image, "rb") as f:
            flash = Flash(bytearray(f.read()))
        vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/look")
    except (OSError, ValueError) as error:
        return {"error": repr(error)}
    try:
        walk("", found)
    except OSError as error:
        found = {"error": repr(error)}
    finally:
        vfs.umount("/look")
    return found


sys.path.insert(0, sys.argv[1])
from flash import Flash  # noqa: E402

while line := sys.stdin.readline():
    print(json.dumps(look(line.rstrip("\n"))))
