"""A release into the other slot: what is there is kept, what runs is copied, the rest is fetched.

Everything may be cut short at any byte and done again: a file takes its place by its name alone,
when it was read back and fits. The slot has no .index, and so no release, until it is whole.
"""

import os
from binascii import hexlify
from hashlib import sha256

import flota_boot
import flota_clock as clock
from flota_statement import Index

_NEW = "/flota/index.new"  # of the release that is installed
_OLD = "/flota/index.old"  # of what the slot held before: only where to look
_PART = "/flota/part."  # a file on its way
_CHUNK = 1024
_SYNC = 16384  # bytes between two times that a file on its way is made to last
_BLOCK = 4096
_SPARE = 4 * _BLOCK


def size_of(path):
    """Bytes of a file, -1 where there is none."""
    try:
        found = os.stat(path)
        return found[6] if found[0] & 0x8000 else -1
    except OSError:
        return -1


def remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _takes(size):
    """About as many bytes of the flash as a file takes: a small one lies among the names."""
    return (size // (_BLOCK - 16) + 1) * _BLOCK if size > 512 else 2 * size + 256


def _walk(folder):
    """The files below a folder, and the folders, deepest last: a generator of (path, is_file)."""
    folders = [folder]
    for at in folders:
        try:
            names = os.listdir(at)
        except OSError:
            continue
        for name in names:
            path = at + "/" + name
            if os.stat(path)[0] & 0x4000:
                folders.append(path)
                yield path, False
            else:
                yield path, True


def digest_of(path, view):
    """The digest of what is in the flash, in hex: a generator. Raises OSError."""
    hasher = sha256()
    view = view[:_CHUNK]
    with open(path, "rb") as f:
        while True:
            n = f.readinto(view)
            if not n:
                break
            hasher.update(view[:n])
            yield
    return hexlify(hasher.digest()).decode()


def holds(slot, digest, view):
    """Whether a slot holds the release of this digest, byte for byte: a generator."""
    try:
        if (yield from digest_of("/%s/.index" % slot, view)) != digest:
            return False
        index = Index("/%s/.index" % slot)
        try:
            yield from index.load()
            for i in range(len(index)):
                want, _, path = index.line(i)
                if (yield from digest_of("/%s/%s" % (slot, path), view)) != want:
                    return False
            return index.valid
        finally:
            index.close()
    except OSError:
        return False


def _free():
    fs = os.statvfs("/")
    return fs[0] * fs[3]


def capacity():
    """Room for a release beside the one that runs, in bytes: a generator."""
    room = _free() - _SPARE
    for path, is_file in _walk("/" + flota_boot.other()):
        if is_file:
            room += _takes(size_of(path))
        yield
    return max(room, 0)


def clean():
    """Forgets what was on its way."""
    try:
        for name in os.listdir("/flota"):
            if name.startswith("part.") or name.startswith("index."):
                remove("/flota/" + name)
    except OSError:
        pass


class Install:
    """One release on its way into the other slot.

    wire      to fetch with, and whose room to use
    digest    of its index, and size
    progress  progress(percent, tell): a generator; False ends it
    """

    def __init__(self, wire, digest, size, progress):
        self.wire = wire
        self.view = wire.view
        self.digest = digest
        self.size = size
        self.progress = progress
        self.folder = "/" + flota_boot.other()
        self.advanced = False  # bytes have come since somebody set this
        self._done = 0
        self._index = None

    def percent(self):
        if not self._index or not self._index.size:
            return 0
        return min(100, self._done * 100 // self._index.size)

    def run(self, link):
        """Installs: a generator. Returns (outcome, reason): ("ok", "") when it is whole and was
        read back; ("ok", "format" | "too_large" | "digest" | "storage") when it is not."""
        try:
            result = yield from self._index_first(link)
            if result == ("ok", ""):
                result = yield from self._files(link)
            return result
        except OSError:
            return "ok", "storage"
        finally:
            if self._index:
                self._index.close()
            self._index = None

    def _index_first(self, link):
        if flota_boot.has_release(self.folder[1:]):
            if (yield from holds(self.folder[1:], self.digest, self.view)):
                return "ok", "complete"
        there = size_of(_NEW) == self.size
        if not there or (yield from digest_of(_NEW, self.view)) != self.digest:
            result = yield from self._fetch(link, self.digest, self.size, _NEW)
            if result != ("ok", ""):
                return result
        self._index = index = Index(_NEW)
        yield from index.load()
        if not index.valid or index.has(".index"):
            return "ok", "format"
        return "ok", ""

    def _files(self, link):
        index, folder = self._index, self.folder
        if not (yield from self._fits()):
            return "ok", "too_large"
        if size_of(folder + "/.index") >= 0:
            os.rename(folder + "/.index", _OLD)  # from here on there is no release in it
        yield from self._move()
        yield from self._clear()
        running = Index("/%s/.index" % flota_boot.slot)
        try:
            yield from running.load()
            running.close()
            for i in range(len(index)):
                digest, size, path = index.line(i)
                index.close()
                target = folder + "/" + path
                if size_of(target) != size or (
                    (yield from digest_of(target, self.view)) != digest
                ):
                    remove(target)
                    if not self._make_folders(path):
                        return "ok", "format"
                    found = running.find(digest) if running.valid else None
                    running.close()
                    there = found and (yield from self._copy(found[2], digest, target))
                    if not there:
                        to = "%s/%d" % (link, i + 1)
                        result = yield from self._fetch(to, digest, size, target)
                        if result != ("ok", ""):
                            return result
                self._done += size if size_of(target) == size else 0
        finally:
            running.close()
        index.close()
        os.rename(_NEW, folder + "/.index")
        remove(_OLD)
        clean()
        return "ok", ""

    def _fits(self):
        # Room is checked before anything changes: what is written anew, against what is free and
        # what goes.
        need = _takes(self.size)
        last = ""
        for i in range(len(self._index)):
            _, size, path = self._index.line(i)
            if size_of(self.folder + "/" + path) != size:
                need += _takes(size)
            at = path[: path.rfind("/") + 1]
            if at != last and size_of(self.folder + "/" + at[:-1]) < 0:
                need += 2 * _BLOCK
            last = at
            yield
        have = _free() - _SPARE
        start = len(self.folder) + 1
        for path, is_file in _walk(self.folder):
            if is_file:
                size, i = size_of(path), self._index.number(path[start:])
                if i is None or self._index.line(i)[1] != size:
                    have += _takes(size)
            yield
        return need <= have

    def _move(self):
        """What the slot has under another name gets the one that it is to have."""
        if size_of(_OLD) < 0:
            return
        old = Index(_OLD)
        try:
            yield from old.load()
            for i in range(len(self._index)) if old.valid else ():
                digest, size, path = self._index.line(i)
                if size_of(self.folder + "/" + path) != size:
                    found = old.find(digest)
                    at = found and self.folder + "/" + found[2]
                    if at and size_of(at) == size and not self._index.has(found[2]):
                        if self._make_folders(path):
                            remove(self.folder + "/" + path)
                            os.rename(at, self.folder + "/" + path)
                yield
        finally:
            old.close()

    def _clear(self):
        """Removes from the slot what the release has not."""
        folders = []
        start = len(self.folder) + 1
        for path, is_file in _walk(self.folder):
            if not is_file:
                folders.append(path)
            elif not self._index.has(path[start:]):
                remove(path)
            yield
        for path in reversed(folders):
            try:
                os.rmdir(path)
            except OSError:
                pass  # it is not empty

    def _make_folders(self, path):
        """False where a file is in the way."""
        at = -1
        target = self.folder + "/" + path
        while True:
            at = target.find("/", at + 1)
            if at < 0:
                return True
            if not at:
                continue
            if size_of(target[:at]) >= 0:
                return False
            try:
                os.mkdir(target[:at])
            except OSError:
                pass  # it is there, or the file will not be

    def _copy(self, path, digest, target):
        """A file of the release that runs: a generator. False where it is another by now."""
        part = _PART + digest[:16]
        view = self.view[:_CHUNK]
        with open("/%s/%s" % (flota_boot.slot, path), "rb") as f, open(part, "wb") as out:
            while True:
                n = f.readinto(view)
                if not n:
                    break
                out.write(view[:n])
                yield
        return (yield from self._place(part, digest, target)) == ""

    def _place(self, part, digest, target):
        """Gives a whole file its name, where that is what is in the flash: a generator."""
        if (yield from digest_of(part, self.view)) != digest:
            remove(part)
            return "digest"
        os.rename(part, target)
        return ""

    def _fetch(self, link, digest, size, target):
        part = _PART + digest[:16]
        for name in os.listdir("/flota"):
            if name.startswith("part.") and "/flota/" + name != part:
                remove("/flota/" + name)
        hasher = sha256()
        offset = max(0, size_of(part))
        if offset > size:
            offset = 0
        if offset:
            view = self.view[:_CHUNK]
            with open(part, "rb") as f:  # what counts is what is in the flash
                while True:
                    n = f.readinto(view)
                    if not n:
                        break
                    hasher.update(view[:n])
                    yield
        else:
            open(part, "wb").close()
        before, self._done = self._done, self._done + offset
        try:
            while offset < size:
                if not (yield from self.progress(self.percent(), True)):
                    return "outage", ""
                result, at = yield from self.wire.image(link, size, offset)
                if result != "ok":
                    if self.wire.status == 416:
                        remove(part)  # not the same question twice
                    return result, ""
                if at != offset:
                    hasher, offset = sha256(), 0
                    self._done = before
                offset = yield from self._receive(part, offset, size, hasher)
                if offset < 0:
                    return "outage", ""
        finally:
            self._done = before
        right = hexlify(hasher.digest()).decode() == digest
        if not right:
            remove(part)
            return "ok", "digest"
        return "ok", ("storage" if (yield from self._place(part, digest, target)) else "")

    def _receive(self, part, offset, size, hasher):
        """The body of an answer, or what comes of it within a session. Returns the offset."""
        began, synced = clock.now(), offset
        view = self.view[:_CHUNK]
        with open(part, "ab" if offset else "wb") as f:
            while offset < size:
                n = yield from self.wire.read(view)
                if not n:
                    return -1
                f.write(view[:n])
                hasher.update(view[:n])
                offset += n
                self._done += n
                self.advanced = True
                if offset - synced >= _SYNC:
                    f.flush()
                    synced = offset
                if not (yield from self.progress(self.percent(), False)):
                    self.wire.close()
                    return -1
                if clock.now() - began > clock.patience(clock.SESSION) and offset < size:
                    self.wire.close()
                    break
                yield
        return offset
