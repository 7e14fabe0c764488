"""vfs as the rp2 port has it: without the host's file system."""

from vfs import VfsFat, VfsLfs2, mount, umount  # noqa: F401

__name__ = "vfs"
