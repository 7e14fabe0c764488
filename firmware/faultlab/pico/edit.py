"""Changes a file in the image of a Pico's flash, as whoever holds the cable can.

    micropython edit.py <firmware/pico/virtual> <image> <path> <file here; -: removes it>
"""

import os
import sys
import vfs

sys.path.insert(0, sys.argv[1])
from flash import Flash  # noqa: E402

_, _, image, path, source = sys.argv
data = None
if source != "-":
    with open(source, "rb") as f:
        data = f.read()
with open(image, "r+b") as f:
    vfs.mount(vfs.VfsLfs2(Flash(f), progsize=256), "/edit")
    if data is None:
        try:
            os.remove("/edit" + path)
        except OSError:
            pass  # it was not there
    else:
        at = path.find("/", 1)
        while at > 0:
            try:
                os.mkdir("/edit" + path[:at])
            except OSError:
                pass  # it is there
            at = path.find("/", at + 1)
        with open("/edit" + path, "wb") as g:
            g.write(data)
    vfs.umount("/edit")
