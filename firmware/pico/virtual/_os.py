"""os as the rp2 port has it."""

from uos import (  # noqa: F401
    VfsFat,
    VfsLfs2,
    chdir,
    getcwd,
    ilistdir,
    listdir,
    mkdir,
    mount,
    remove,
    rename,
    rmdir,
    stat,
    statvfs,
    umount,
    unlink,
    urandom,
)

from collections import namedtuple as _namedtuple

__name__ = "os"

_uname = _namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))


def uname():
    return _uname("rp2", "rp2", "1.25.0", "v1.25.0 on 2025-04-15", "Virtual Pico W with RP2040")


def sync():
    pass


def dupterm(stream, index=0):
    """No second terminal is written to; there was none before."""


def dupterm_notify(stream):
    pass
