"""A page on the Pico itself that uploads, lists, renames, downloads and deletes its files.

    ota = OTAUpdateService(wifi_service)
    await ota.start()

What it serves, what it refuses and why stands in SERVICE.md. MicroPython 1.23 or later.
"""
# Inside there are comments in the place of docstrings: a Pico would need memory to parse those.

import asyncio
import json
import os
import socket
import sys
import time
from binascii import a2b_base64, hexlify, unhexlify
from hashlib import sha256

from micropython import const

_LINE = const(1024)  # bytes of a connection's own buffer: the longest line of a head
_HEAD = const(8192)  # bytes of a whole head
_BODY = const(512)  # bytes of a JSON body
_BUFFER = const(4096)  # bytes of the one upload that is under way: a block of the flash
_CLIENTS = const(4)  # connections at a time; lwIP on the Pico has few more
_HEAD_MS = const(8000)  # for a whole head
_SILENT_MS = const(250)  # without one, until it makes room for others
_FILL_MS = const(20000)  # for a buffer's worth of an upload
_SEND_MS = const(20000)  # for an answer
_CLOSE_MS = const(2000)  # for the client to hang up
_RESET_MS = const(500)  # for the answer to a restart to arrive
_DRAIN_MS = const(10000)  # for what a refused client is still sending
_SYNC = const(32768)  # bytes of an upload that a power cut can cost
_NAME = const(128)  # bytes of a path
_FIELD = const(256)  # bytes of a form's field that is no file
_DEPTH = const(4)  # segments of a path
_PARTS = const(3)  # uploads that were cut and wait to go on
_FILES = const(32)  # files of one form
_SPARE = const(4)  # blocks that uploads leave free: folders and renames need some
_ROUNDS = const(1000)  # of SHA-256 over a password
_TRIES = const(5)  # wrong passwords until a wait
_WAIT_S = const(60)  # the longest wait
_FORGET_MS = const(600000)  # after which wrong passwords are forgotten
_PEERS = const(8)  # addresses whose wrong passwords are counted apart
_FOLDER = const(0x4000)
_ENOENT = const(2)
_ENOTDIR = const(20)
_ENOSPC = const(28)

_DEFAULT = "otapico"
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Names that no stranger can point at this device by DNS: RFC 6761, 6762, 8375, and .internal.
_LOCAL = (".local", ".localhost", ".test", ".home.arpa", ".internal", ".lan", ".home")
_OWN = ("service_ota", "service_page", "manager_wifi")
_PATHS = (
    "/",
    "/status",
    "/files",
    "/upload",
    "/rename",
    "/wifi",
    "/restart",
    "/credentials",
)
_KEPT = (
    "host",
    "origin",
    "authorization",
    "content-length",
    "content-type",
    "content-range",
    "transfer-encoding",
    "expect",
    "x-sha256",
)

_HERE = __file__[:__file__.rfind("/") + 1]
if _HERE[:1] != "/":
    _HERE = os.getcwd().rstrip("/") + "/" + _HERE


_WASTE = memoryview(bytearray(256))  # for what nobody reads


class Refusal(Exception):
    # An answer that is no success.
    #
    # status  of HTTP
    # code    stable, for programs
    # detail  a sentence, for people
    # more    members of the answer's body, such as field (what is at fault) and offset
    # files   what was replaced before
    def __init__(self, status, code, detail, **more):
        super().__init__(code)
        self.files = None
        self.status = status
        self.body = more
        more["status"] = status
        more["code"] = code
        more["detail"] = detail


def _of_flash(e):
    # The answer where the flash fails.
    if e.errno == _ENOSPC:
        return Refusal(507, "no_space", "The flash is full.")
    return Refusal(500, "storage", "The flash fails: %s." % e)


class Gone(Exception):
    # The client is no longer there.
    pass


def _stat(path):
    # Mode and size; (0, 0) where nothing is.
    try:
        s = os.stat(path)
        return s[0], s[6]
    except OSError as e:
        if e.errno not in (_ENOENT, _ENOTDIR):
            raise
        return 0, 0


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _replace(path, text):
    # Writes a small file so that it is there whole, old or new.
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def _same(a, b):
    # Compares digests in a time that does not depend on them.
    different = len(a) ^ len(b)
    for x, y in zip(a, b):
        different |= x ^ y
    return not different


def _param(line, key):
    # The value of a header's parameter, quoted or not; None where it is not there.
    for start in ("; " + key + "=", ";" + key + "="):
        at = line.find(start)
        if at >= 0:
            value = line[at + len(start):]
            return value[1:value.find('"', 1)] if value[:1] == '"' else value.split(";")[0]
    return None


def _plain(text):
    # Without control characters.
    # Bytes, since MicroPython keeps every character that it has met as a string.
    return all(c >= 32 and c != 127 for c in text.encode())


def _decoded(text):
    # The text without percent signs: RFC 3986.
    pieces = text.split("%")
    if len(pieces) == 1:
        return text
    try:
        raw = bytearray(pieces[0].encode())
        for piece in pieces[1:]:
            raw.extend(unhexlify(piece[:2]))
            raw.extend(piece[2:].encode())
        return bytes(raw).decode()
    except (ValueError, UnicodeError):
        raise Refusal(400, "name", "The name is not UTF-8 with percent signs.", field="name")


def _number(text, code):
    if not text.isdigit() or len(text) > 9:
        raise Refusal(400, code, "That is not a size in bytes: %s." % text[:32], field=code)
    return int(text)


def _digest_of(text):
    if len(text) != 64 or not all(c in b"0123456789abcdef" for c in text.encode()):
        raise Refusal(400, "digest", "A SHA-256 is 64 lower-case hex characters.", field="sha256")
    return text


def _root():
    # Where files may be: everywhere on a Pico of its own, under /data on one of a fleet.
    if not _stat("/flota.json")[0]:
        return "/"
    if not _stat("/data")[0]:
        os.mkdir("/data")
    return "/data/"


def _checked(name, own=False):
    # The name of a file as it may be: a path under the root; of the service's own if own.
    #
    # Raises Refusal: name, hidden or own_code.
    parts = name.split("/")
    try:
        size = len(name.encode())
        name.encode().decode()
    except UnicodeError:
        size = 0
    if not 0 < size <= _NAME or len(parts) > _DEPTH:
        text = "A name has 1 to %d bytes and at most %d folders." % (_NAME, _DEPTH - 1)
        raise Refusal(400, "name", text, field="name")
    for part in parts:
        if not part or part in (".", "..") or "\\" in part or ":" in part:
            raise Refusal(400, "name", "No such path can be: %s." % name, field="name")
        if not _plain(part):
            raise Refusal(400, "name", "The name has control characters.", field="name")
        if part.startswith("."):
            text = "Names that begin with a dot are the service's own."
            raise Refusal(403, "hidden", text, field="name")
        # A folder, a .py and a .mpy each stand for the module of that name.
        if not own and part.split(".")[0].lower() in _OWN:
            text = "This is the running service's own code: %s. Replace it by cable." % name
            raise Refusal(403, "own_code", text, field="name")
    return name


def _free(root):
    s = os.statvfs(root)
    return max(0, s[3] - _SPARE) * s[0], s[2] * s[0]


def _walk(folder, depth=_DEPTH):
    # Generates (name, size) of the files and (name/, 0) of the folders in a folder/.
    for entry in os.ilistdir(folder):
        name = entry[0]
        if name.startswith("."):
            continue
        if entry[1] == _FOLDER:
            yield name + "/", 0
            if depth > 1:
                for inner, size in _walk(folder + name + "/", depth - 1):
                    yield name + "/" + inner, size
        else:
            yield name, entry[3]


class Connection:
    # One request: its head, line by line through one small buffer, its body, its answer.
    #
    # deadline    in ticks, when the service ends it; None while it waits its turn
    # idle        it has not said yet what it wants, or has its answer
    # begun       in ticks
    # reads       path of the file that it sends
    def __init__(self, stream, task):
        peer = stream.get_extra_info("peername")
        self.stream = stream
        self.task = task
        # Elsewhere than on a microcontroller it is a struct sockaddr_in.
        self.peer = peer[0] if isinstance(peer, tuple) else bytes(peer[4:8])
        self.buffer = bytearray(_LINE)
        self.view = memoryview(self.buffer)
        self.at = 0
        self.end = 0
        self.left = 0
        self.head = {}
        self.method = self.path = ""
        self.idle = True
        self.begun = time.ticks_ms()
        self.late = False
        self.answered = False
        self.reads = None
        self.patience(_HEAD_MS)

    def patience(self, ms):
        self.deadline = time.ticks_add(time.ticks_ms(), ms)

    async def receive(self, into):
        # At least a byte; 0 where the client has hung up.
        try:
            while True:
                n = await self.stream.readinto(into)
                if n is not None:
                    return n
        except OSError:
            raise Gone

    async def line(self):
        while True:
            stop = self.buffer.find(b"\n", self.at, self.end)
            if stop >= 0:
                line = bytes(self.view[self.at:stop])
                self.at = stop + 1
                return line[:-1] if line[-1:] == b"\r" else line
            if self.at:
                self.end -= self.at
                self.buffer[:self.end] = self.buffer[self.at:self.at + self.end]
                self.at = 0
            if self.end == _LINE:
                self.left = 1  # and more: to be read before hanging up
                raise Refusal(431, "head", "A line of the head is longer than %d bytes." % _LINE)
            n = await self.receive(self.view[self.end:])
            if not n:
                raise Gone
            self.end += n

    async def read_head(self):
        try:
            words = (await self.line()).decode().split(" ")
            if len(words) != 3 or words[2][:7] != "HTTP/1." or words[1][:1] != "/":
                raise Refusal(400, "request", "That is no HTTP/1.1.")
            self.method = words[0]
            self.path = words[1]
            size = 0
            while True:
                line = await self.line()
                if not line:
                    break
                size += len(line)
                if size > _HEAD:
                    self.left = 1
                    raise Refusal(431, "head", "The head is longer than %d bytes." % _HEAD)
                colon = line.find(b":")
                key = line[:colon].decode().lower() if colon > 0 else ""
                if key in _KEPT:
                    if key in self.head:
                        raise Refusal(400, "request", "Twice in the head: %s." % key)
                    self.head[key] = line[colon + 1:].decode().strip()
                elif not key or key != key.strip():
                    raise Refusal(400, "request", "A line of the head is no field.")
        except UnicodeError:
            raise Refusal(400, "request", "The head is not UTF-8.")
        if "transfer-encoding" in self.head:
            raise Refusal(411, "length", "Send a Content-Length instead of chunks.")
        self.left = _number(self.head.get("content-length", "0"), "content-length")

    async def fill(self, into):
        # Fills a buffer from the body as far as that goes; 0 behind its end.
        if self.left and self.head.pop("expect", None):
            await self.send("HTTP/1.1 100 Continue\r\n\r\n")
        size = min(len(into), self.left)
        n = min(size, self.end - self.at)
        if n:
            into[:n] = self.view[self.at:self.at + n]
            self.at += n
            self.left -= n
        self.patience(_FILL_MS)
        while n < size:
            got = await self.receive(into[n:size])
            if not got:
                raise Gone
            n += got
            self.left -= got
        return n

    async def json(self):
        # The body's members.
        if self.left > _BODY:
            raise Refusal(413, "body", "The body is longer than %d bytes." % _BODY)
        body = bytearray(self.left)
        await self.fill(memoryview(body))
        try:
            members = json.loads(body)
        except ValueError:
            members = None
        if not isinstance(members, dict) or not all(isinstance(v, str) for v in members.values()):
            raise Refusal(400, "body", "The body is no JSON object of texts.")
        return members

    async def send(self, data):
        # Bytes or text, as UTF-8.
        try:
            self.stream.write(data.encode() if isinstance(data, str) else data)
            await self.stream.drain()
        except OSError:
            raise Gone

    async def send_chunk(self, text):
        data = text.encode()
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def begin(self, status, kind, size=None, extra=""):
        self.patience(_SEND_MS)
        self.answered = True
        if size is not None:
            extra += "Content-Length: %d\r\n" % size
        await self.send(
            "HTTP/1.1 %d \r\nContent-Type: %s\r\n%sConnection: close\r\nCache-Control: no-store"
            "\r\nX-Content-Type-Options: nosniff\r\n\r\n" % (status, kind, extra)
        )

    async def answer(self, members, status=200, kind=_JSON, extra="", files=None):
        # Members as JSON; files beside them one by one, for there may be many.
        text = json.dumps(members)
        if files is None:
            body = text.encode()
            await self.begin(status, kind, len(body), extra)
            return await self.send(body)
        await self.begin(status, kind, extra=extra + "Transfer-Encoding: chunked\r\n")
        text = text[:-1] + (', "files": [' if members else '"files": [')
        mark = ""
        for file in files:
            text += mark + json.dumps(file)
            mark = ", "
            if len(text) > _BODY:
                self.patience(_SEND_MS)
                await self.send_chunk(text)
                text = ""
        await self.send_chunk(text + "]}")
        await self.send("0\r\n\r\n")

    async def answer_file(self, path, kind, extra=""):
        with open(path, "rb") as f:
            self.reads = path
            await self.begin(200, kind, _stat(path)[1], extra)
            while True:
                n = f.readinto(self.buffer)
                if not n:
                    self.reads = None
                    return
                self.patience(_SEND_MS)
                await self.send(self.view[:n])

    async def hang_up(self):
        # Waits for the client to do it: so it reads the answer, and TCP's memory of it is its.
        self.idle = True
        self.patience(_DRAIN_MS if self.left else _CLOSE_MS)
        self.buffer = self.view = self.head = None
        while await self.receive(_WASTE):
            pass


class Upload:
    # A file on its way in: written beside, verified in the flash, then renamed.
    #
    # part    the file that it is written to
    # view    of a buffer, for what is read back
    # Raises OSError where the flash fails.
    def __init__(self, root, part, view):
        self.root = root
        self.part = root + part
        self.view = view
        self.sha = sha256()
        self.size = 0
        self.file = None

    async def _hash(self, sha):
        size = 0
        with open(self.part, "rb") as f:
            while True:
                n = f.readinto(self.view)
                if not n:
                    return size
                sha.update(self.view[:n])
                size += n
                await asyncio.sleep_ms(0)

    async def open(self):
        # Goes on behind what is there.
        if _stat(self.part)[0]:
            self.size = await self._hash(self.sha)
        self.file = open(self.part, "ab")

    def write(self, data):
        at = 0
        while at < len(data):
            n = self.file.write(data[at:])
            if not n:
                raise OSError(_ENOSPC)
            at += n
        self.sha.update(data)
        if (self.size ^ (self.size + at)) & ~(_SYNC - 1):
            self.file.flush()
        self.size += at

    def close(self):
        if self.file:
            file = self.file
            self.file = None
            file.close()

    def drop(self):
        try:
            self.close()
        except OSError:
            pass
        _remove(self.part)

    async def commit(self, name, want, release):
        # Puts it in its place, if it is what was meant: want is its SHA-256, or None.
        # release(path) is called just before.
        self.close()
        digest = self.sha.digest()
        stored = sha256()
        size = await self._hash(stored)
        if size != self.size or stored.digest() != digest:
            raise Refusal(500, "storage", "The flash does not hold what was written to it.")
        digest = hexlify(digest).decode()
        if want and want != digest:
            text = "What arrived is not what was sent: its SHA-256 is %s." % digest
            raise Refusal(422, "digest", text, field="sha256", sha256=digest)
        if _root() != self.root:
            text = "The device has joined a fleet meanwhile. Try again."
            raise Refusal(409, "enrolled", text)
        _open_way(self.root, name, make=True)
        release(self.root + name)
        os.rename(self.part, self.root + name)
        getattr(os, "sync", int)()
        return {"name": name, "size": size, "sha256": digest}


def _open_way(root, name, make=False):
    # Sees that a file can have that name: its folders are none but folders, or are made.
    at = name.find("/")
    while at >= 0:
        folder = root + name[:at]
        mode = _stat(folder)[0]
        if mode and mode != _FOLDER:
            raise Refusal(409, "taken", "This is a file: %s." % name[:at], field="name")
        if make and not mode:
            os.mkdir(folder)
        at = name.find("/", at + 1)
    if _stat(root + name)[0] == _FOLDER:
        raise Refusal(409, "taken", "This is a folder: %s." % name, field="name")


async def _reset():
    import machine

    await asyncio.sleep_ms(_RESET_MS)
    machine.reset()


class Form:
    # multipart/form-data, RFC 7578, through one fixed buffer.
    def __init__(self, connection, buffer):
        kind = connection.head.get("content-type", "")
        boundary = _param(kind, "boundary")
        if kind.split(";")[0] != "multipart/form-data" or not boundary or len(boundary) > 70:
            raise Refusal(415, "form", "That is no multipart/form-data.")
        self.connection = connection
        self.mark = b"\r\n--" + boundary.encode()
        self.buffer = buffer
        self.view = memoryview(buffer)
        # The first boundary has no line before it.
        self.buffer[:2] = b"\r\n"
        self.at = 0
        self.end = 2

    async def _more(self):
        size = self.end - self.at
        if self.at:
            self.buffer[:size] = bytes(self.view[self.at:self.end])
            self.at = 0
            self.end = size
        n = await self.connection.fill(self.view[size:])
        if not n:
            raise Refusal(400, "form", "The form has no end.")
        self.end += n

    async def part(self):
        # The head of the next part: (field, filename or None).
        while True:
            stop = self.buffer.find(b"\r\n\r\n", self.at, self.end)
            if stop >= 0:
                break
            if self.end - self.at > _LINE:
                raise Refusal(431, "form", "The head of a part is longer than %d bytes." % _LINE)
            await self._more()
        try:
            head = bytes(self.view[self.at:stop]).decode()
        except UnicodeError:
            raise Refusal(400, "form", "The head of a part is not UTF-8.")
        self.at = stop + 4
        for line in head.split("\r\n"):
            if line.lower().startswith("content-disposition: form-data;"):
                field = _param(line, "name")
                if field is not None:
                    return field, _param(line, "filename")
        raise Refusal(400, "form", "A part has no name.")

    async def content(self, write=None):
        # Gives what the part holds to write(memoryview); True where another part follows.
        while True:
            stop = self.buffer.find(self.mark, self.at, self.end)
            n = stop if stop >= 0 else self.end - len(self.mark) + 1
            if n > self.at:
                if write:
                    write(self.view[self.at:n])
                self.at = n
            if stop >= 0:
                break
            await self._more()
        self.at += len(self.mark)
        while self.end - self.at < 2:
            await self._more()
        mark = bytes(self.view[self.at:self.at + 2])
        self.at += 2
        if mark not in (b"--", b"\r\n"):
            raise Refusal(400, "form", "A boundary does not end its line.")
        return mark != b"--"

    async def text(self):
        # What a field holds, and whether another part follows.
        value = bytearray()

        def write(data):
            if len(value) + len(data) > _FIELD:
                raise Refusal(400, "form", "A field is longer than %d bytes." % _FIELD)
            value.extend(data)

        more = await self.content(write)
        try:
            return bytes(value).decode(), more
        except UnicodeError:
            raise Refusal(400, "form", "A field is not UTF-8.")


class Credentials:
    # One name and password, salted and hashed; in a file once the page changed them.
    def __init__(self, username, password):
        self.proven = b""  # digest of the header that was right last: hashing takes time
        self.failed = {}  # of each address: [wrong passwords, ticks of the last, seconds to wait]
        for root in (_root(), "/"):
            if _stat(root + ".ota")[0]:
                # One that cannot be read opens nothing: no way back to the constructor's.
                self.salt = self.hash = b""
                self.default = False
                try:
                    with open(root + ".ota") as f:
                        kept = json.load(f)
                    self.salt = unhexlify(kept["salt"])
                    self.hash = unhexlify(kept["hash"])
                except (ValueError, KeyError, TypeError):
                    print("OTA: %s.ota cannot be read. Remove it by cable." % root)
                return
        self.salt = os.urandom(16)
        self.hash = self._hashed(self.salt, username + ":" + password)
        self.default = password == _DEFAULT

    def _hashed(self, salt, text):
        digest = text.encode()
        for _ in range(_ROUNDS):
            digest = sha256(salt + digest).digest()
        return digest

    def change(self, username, password):
        if not 0 < len(username) <= 32 or ":" in username or not _plain(username):
            text = "A user name has 1 to 32 characters, no colon."
            raise Refusal(400, "username", text, field="username")
        if not 8 <= len(password) <= 64 or not _plain(password):
            text = "A password has 8 to 64 characters."
            raise Refusal(400, "password", text, field="password")
        salt = os.urandom(16)
        hashed = self._hashed(salt, username + ":" + password)
        kept = {"salt": hexlify(salt).decode(), "hash": hexlify(hashed).decode()}
        _replace(_root() + ".ota", json.dumps(kept))
        self.salt = salt
        self.hash = hashed
        self.default = False
        self.proven = b""

    def check(self, header, peer):
        # Raises Refusal where the header is not theirs, or its sender has guessed too often.
        if not header:
            raise Refusal(401, "credentials", "Who are you?")
        now = time.ticks_ms()
        count = self.failed.get(peer) or (len(self.failed) >= _PEERS and self.failed.get("*"))
        if count:
            past = time.ticks_diff(now, count[1])
            if 0 <= past < count[2] * 1000:
                wait = count[2] - past // 1000
                text = "Too many wrong passwords. Try again in %d seconds." % wait
                raise Refusal(429, "locked_out", text, wait=wait)
        digest = sha256(self.salt + header.encode()).digest()
        if not _same(digest, self.proven):
            try:
                text = a2b_base64(header[6:]).decode() if header[:6].lower() == "basic " else ""
            except (ValueError, UnicodeError):
                text = ""
            if not _same(self._hashed(self.salt, text), self.hash):
                self._wrong(peer, now)
                raise Refusal(401, "credentials", "User name or password is wrong.")
            self.proven = digest
        self.failed.pop(peer, None)

    def _wrong(self, peer, now):
        failed = self.failed
        for other in list(failed):
            if not 0 <= time.ticks_diff(now, failed[other][1]) < _FORGET_MS:
                del failed[other]
        if peer not in failed and len(failed) >= _PEERS:
            peer = "*"  # whoever comes from still another address
        count = failed.get(peer) or failed.setdefault(peer, [0, now, 0])
        count[0] += 1
        count[1] = now
        if count[0] >= _TRIES:
            count[2] = min(_WAIT_S, 2 ** min(6, count[0] - _TRIES + 1))


class OTAUpdateService:
    """The upload service.

    wifi_service    is_connected() says whether there is a network. The page uses what else it has:
                    access_point(), get_status(), join(ssid, password), as manager_wifi's
    auth_username, auth_password    the first credentials; those that the page stored win
    port            of TCP, 1 to 65535
    hosts           names besides addresses, single words and .local ones by which it may be called
    """

    def __init__(
        self, wifi_service, auth_username="admin", auth_password=_DEFAULT, port=8080, hosts=()
    ):
        self.wifi = wifi_service
        self.port = port
        self.hosts = hosts
        self._credentials = Credentials(auth_username, auth_password)
        self._buffer = bytearray(_BUFFER)
        self._turn = asyncio.Lock()
        self._open = []
        self._fault = None  # the network's last, told once
        self._told = False  # that the port cannot be had
        self._task = None

    async def start(self):
        """Starts the server as a task and returns. It serves while there is a network."""
        if not self._task or self._task.done():
            self._task = asyncio.create_task(self._run())

    def stop(self):
        """Ends the server and every connection; start() starts it again. May be awaited."""
        if self._task:
            self._task.cancel()
            self._task = None
        return ()

    def _network(self):
        try:
            point = getattr(self.wifi, "access_point", None)
            return self.wifi.is_connected() or (point and point())
        except Exception as e:  # the program's own, or the network's
            if repr(e) != self._fault:
                self._fault = repr(e)
                sys.print_exception(e)
            return False

    async def _run(self):
        listener = None
        try:
            while True:
                now = time.ticks_ms()
                for c in self._open:
                    if c.deadline is not None and time.ticks_diff(now, c.deadline) > 0:
                        c.deadline = None
                        c.late = True
                        c.task.cancel()
                try:
                    network = self._network()
                    if network and (not listener or listener.done()):
                        listener = asyncio.create_task(self._listen())
                    elif listener and not network:
                        self._end(listener)
                        listener = None
                except MemoryError as e:
                    sys.print_exception(e)
                await asyncio.sleep_ms(250)
        finally:
            self._end(listener)

    def _end(self, listener):
        if listener:
            listener.cancel()
        for c in self._open:
            c.task.cancel()

    def _listen(self):
        # A task that accepts connections until it is cancelled. That of asyncio.start_server()
        # ends where memory is short, unseen and with its port still open.
        s = None
        try:
            s = socket.socket()
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(socket.getaddrinfo("0.0.0.0", self.port)[0][-1])
            s.listen(5)
            self._told = False
            while True:
                yield asyncio.core._io_queue.queue_read(s)
                client = None
                try:
                    client, peer = s.accept()
                    client.setblocking(False)
                    stream = asyncio.StreamReader(client, {"peername": peer})
                    asyncio.create_task(self._serve(stream))
                    continue
                except OSError:
                    pass  # whoever it was has gone
                except MemoryError as e:
                    sys.print_exception(e)
                if client:
                    client.close()
                yield from asyncio.sleep_ms(100)
        except (OSError, MemoryError) as e:
            if not self._told:
                print("OTA: port %d cannot be had: %s" % (self.port, repr(e)))
            self._told = True
        finally:
            if s:
                s.close()

    def _release(self, path):
        # Ends whoever reads a file that goes: LittleFS gives its blocks to others at once.
        for c in self._open:
            if c.reads == path:
                c.task.cancel()

    async def _serve(self, stream):
        c = None
        try:
            if len(self._open) >= _CLIENTS:
                now = time.ticks_ms()
                for other in self._open:
                    silent = time.ticks_diff(now, other.begun) >= _SILENT_MS
                    if other.idle and (silent or other.answered):
                        # It only keeps others out; who has something to say comes again.
                        self._open.remove(other)
                        other.task.cancel()
                        break
            if len(self._open) >= _CLIENTS:
                stream.write(b"HTTP/1.1 503 \r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
                return
            c = Connection(stream, asyncio.current_task())
            self._open.append(c)
            await self._answer(c)
            await c.hang_up()
        except MemoryError as e:
            sys.print_exception(e)
        except (Gone, OSError):
            pass
        except asyncio.CancelledError:
            if c.late and not c.answered and c.method:
                text = b"HTTP/1.1 408 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                try:
                    stream.write(text)
                except OSError:
                    pass
        finally:
            if c in self._open:
                self._open.remove(c)
            await stream.wait_closed()

    async def _answer(self, c):
        try:
            try:
                await c.read_head()
                c.idle = False
                await self._route(c)
            except OSError as e:
                raise _of_flash(e)
            except MemoryError:
                raise Refusal(503, "memory", "The Pico is short of memory. Try again.")
            except (Refusal, Gone):
                raise
            except Exception as e:
                sys.print_exception(e)
                raise Refusal(500, "internal", "The service has a fault. Its console tells it.")
        except Refusal as e:
            if c.answered:
                raise Gone  # a file that ends early shows by its length
            extra = ""
            if e.status == 401:
                extra = 'WWW-Authenticate: Basic realm="Pico", charset="UTF-8"\r\n'
            elif "wait" in e.body:
                extra = "Retry-After: %d\r\n" % e.body["wait"]
            await c.answer(e.body, e.status, _PROBLEM, extra, e.files)

    def _check_host(self, c):
        # Refuses what a stranger's page sends: by its own name (DNS rebinding) or origin.
        host = c.head.get("host", "").lower()
        name = host
        colon = host.rfind(":")
        if colon > host.rfind("]"):
            name = host[:colon]
        if (
            not name
            or "." in name
            and name not in self.hosts
            and not all(p.isdigit() for p in name.split("."))
            and not any(name.endswith(end) for end in _LOCAL)
        ):
            text = "This device is not known as %s: call it by its address." % name[:64]
            raise Refusal(421, "host", text, field="Host")
        if c.head.get("origin", "http://" + host).lower() != "http://" + host:
            raise Refusal(403, "origin", "A page of somebody else sent that.", field="Origin")

    async def _route(self, c):
        self._check_host(c)
        self._credentials.check(c.head.get("authorization"), c.peer)
        path, _, _ = c.path.partition("?")
        what = c.method + " " + path
        if what == "GET /":
            return await self._page(c)
        if what == "GET /status":
            return await c.answer(self._status())
        if what == "POST /credentials":
            members = await c.json()
            self._credentials.change(members.get("username", ""), members.get("password", ""))
            return await c.answer({})
        if self._credentials.default:
            text = "The password is the one that everybody knows. Change it first."
            raise Refusal(403, "default_password", text)
        if path[:7] == "/files/" and len(path) > 7:
            name = _checked(_decoded(path[7:]), c.method == "GET")
            if c.method == "PUT":
                return await self._put(c, name)
            if c.method == "GET":
                return await self._download(c, name)
            if c.method == "DELETE":
                return await self._delete(c, name)
        if what == "GET /files":
            files = ({"name": n, "size": s} for n, s in _walk(_root()))
            return await c.answer({}, files=files)
        if what == "POST /upload":
            return await self._post(c)
        if what == "POST /rename":
            return await self._rename(c)
        if what == "POST /wifi":
            return await self._join(c)
        if what == "POST /restart":
            return await self._restart(c)
        if path in _PATHS:
            raise Refusal(405, "method", "Not with this method: %s." % c.method)
        raise Refusal(404, "not_found", "There is no such page.")

    async def _page(self, c):
        path = _HERE + "service_page.html"
        if not _stat(path)[0]:
            text = "service_page.html is missing beside service_ota: copy it there by cable."
            raise Refusal(404, "no_page", text)
        extra = "Content-Security-Policy: %s\r\nReferrer-Policy: no-referrer\r\n" % _CSP
        await c.answer_file(path, "text/html; charset=utf-8", extra)

    def _status(self):
        free, total = _free("/")
        wifi = getattr(self.wifi, "get_status", dict)()
        return {
            "free": free,
            "total": total,
            "root": _root(),
            "default_password": self._credentials.default,
            "busy": self._turn.locked(),
            "wifi": wifi if isinstance(wifi, dict) else {},
            "can_join": hasattr(self.wifi, "join"),
        }

    async def _download(self, c, name):
        path = _root() + name
        if _stat(path)[0] in (0, _FOLDER):
            raise Refusal(404, "not_found", "There is no file %s." % name, field="name")
        # Never as a page of this origin, whatever is in it.
        extra = "Content-Disposition: attachment\r\nContent-Security-Policy: sandbox\r\n"
        await c.answer_file(path, "application/octet-stream", extra)

    async def _delete(self, c, name):
        path = _root() + name
        mode = _stat(path)[0]
        if not mode:
            raise Refusal(404, "not_found", "There is no file %s." % name, field="name")
        if mode != _FOLDER:
            self._release(path)
            os.remove(path)
        else:
            if any(True for _ in os.ilistdir(path)):
                text = "The folder is not empty: %s." % name
                raise Refusal(409, "not_empty", text, field="name")
            os.rmdir(path)
        await c.answer({})

    async def _rename(self, c):
        members = await c.json()
        old = _checked(members.get("from", ""))
        new = _checked(members.get("to", ""))
        root = _root()
        if _stat(root + old)[0] in (0, _FOLDER):
            raise Refusal(404, "not_found", "There is no file %s." % old, field="from")
        if _stat(root + new)[0]:
            raise Refusal(409, "taken", "There is one already: %s." % new, field="to")
        _open_way(root, new, make=True)
        self._release(root + old)
        os.rename(root + old, root + new)
        await c.answer({"name": new})

    async def _join(self, c):
        members = await c.json()
        if not hasattr(self.wifi, "join"):
            raise Refusal(404, "not_found", "The program chooses the Wi-Fi of this device.")
        try:
            self.wifi.join(members.get("ssid", ""), members.get("password", ""))
        except ValueError as e:
            raise Refusal(400, "wifi", str(e), field="ssid")
        await c.answer({})

    async def _restart(self, c):
        if self._turn.locked():
            raise Refusal(409, "busy", "An upload is under way.")
        await c.answer({})
        asyncio.create_task(_reset())

    def _room(self, root, size, part=None):
        # Refuses what does not fit; cut uploads make room.
        for _ in range(2):
            # A block in 500 holds LittleFS's own pointers.
            if size + size // 500 <= _free(root)[0]:
                return
            self._tidy(root, part, 0)
        text = "%d bytes do not fit: %d are free." % (size, _free(root)[0])
        raise Refusal(507, "no_space", text, field="file", free=_free(root)[0])

    def _tidy(self, root, part, most):
        # Removes cut uploads but for so many of them.
        parts = [e[0] for e in os.ilistdir(root) if e[0][:5] == ".ota-" and e[0] != part]
        for name in parts[most:]:
            _remove(root + name)

    async def _put(self, c, name):
        # One file, as the body. With its SHA-256 it can go on after a cut.
        want = c.head.get("x-sha256")
        if "content-length" not in c.head:
            raise Refusal(411, "length", "Send a Content-Length.")
        offset, total, asks = 0, c.left, False
        span = c.head.get("content-range")
        if span is not None:
            span, _, total = (span[6:] if span[:6] == "bytes " else "").partition("/")
            total = _number(total, "content-range")
            asks = span == "*"
            if not asks:
                first, _, last = span.partition("-")
                offset = _number(first, "content-range")
                end = _number(last, "content-range") + 1
                if end != offset + c.left or end > total:
                    raise Refusal(400, "content-range", "The range is not the body's.")
            if not want:
                raise Refusal(400, "digest", "A range needs X-SHA256.", field="sha256")
        part = ".ota-put"
        if want:
            text = "%s\n%d\n%s" % (name, total, _digest_of(want))
            part = ".ota-" + hexlify(sha256(text.encode()).digest()[:6]).decode()
        c.deadline = None
        async with self._turn:
            c.patience(_FILL_MS)
            root = _root()
            _open_way(root, name)
            size = _stat(root + part)[1]
            if size > total or size and not want:
                _remove(root + part)
                size = 0
            self._room(root, total - size, part)
            if asks:
                return await c.answer({"offset": size})
            if offset != size and span is not None:
                text = "Go on at %d." % size
                raise Refusal(409, "offset", text, field="content-range", offset=size)
            if size and span is None:
                _remove(root + part)
            self._tidy(root, part, _PARTS - 1)
            upload = Upload(root, part, memoryview(self._buffer))
            result = await self._take(c, upload, name, total, want)
        await c.answer(result, 202 if "offset" in result else 200)

    async def _take(self, c, upload, name, total, want):
        over = False
        try:
            c.deadline = None
            await upload.open()
            while True:
                n = await c.fill(upload.view)
                if not n:
                    break
                upload.write(upload.view[:n])
            if upload.size < total:
                upload.close()
                return {"offset": upload.size}
            over = True
            c.deadline = None
            return await upload.commit(name, want, self._release)
        except (OSError, Refusal):
            over = True
            raise
        finally:
            # Only what was cut may go on, and only where it says what it is to become.
            if over or not want:
                upload.drop()
            else:
                upload.close()

    async def _post(self, c):
        # A form of files, each under its own name or that of a field filename beside it.
        if "content-length" not in c.head:
            raise Refusal(411, "length", "Send a Content-Length.")
        c.deadline = None
        async with self._turn:
            c.patience(_FILL_MS)
            done = []
            try:
                await self._take_form(c, Form(c, self._buffer), _root(), done)
            except (OSError, Refusal) as e:
                e = e if isinstance(e, Refusal) else _of_flash(e)
                e.files = done
                raise e
        await c.answer({}, files=done)

    async def _take_form(self, c, form, root, done):
        self._room(root, c.left)
        upload = None  # the last file: a field behind it may still name it
        told = {}  # filename and sha256, as fields before a file
        try:
            more = await form.content()
            while True:
                field, filename = await form.part() if more else (None, None)
                if field in ("filename", "sha256") and filename is None:
                    of = upload.told if upload and field not in upload.told else told
                    of[field], more = await form.text()
                    continue
                if upload and (field == "file" or not more):
                    c.deadline = None
                    name = _checked(upload.told.get("filename", upload.name))
                    _open_way(root, name)
                    want = upload.told.get("sha256")
                    want = want and _digest_of(want)
                    done.append(await upload.commit(name, want, self._release))
                    upload = None
                if not more:
                    break
                if field != "file" or filename is None:
                    more = await form.content()
                    continue
                if len(done) == _FILES:
                    raise Refusal(413, "form", "A form has at most %d files." % _FILES)
                _open_way(root, _checked(told.get("filename", filename)))
                _remove(root + ".ota-form")
                # The form has the large buffer; the head's is read out.
                upload = Upload(root, ".ota-form", c.view)
                upload.name, upload.told, told = filename, told, {}
                await upload.open()
                more = await form.content(upload.write)
        finally:
            if upload:
                upload.drop()
        if not done:
            raise Refusal(400, "no_file", "The form has no file.", field="file")
