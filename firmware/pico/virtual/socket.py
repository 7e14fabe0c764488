"""socket as the rp2 port has it (extmod/modlwip), over the host's own or over the way out.

Where BOARD_NET is `proxy`, a connection goes through net/out in the board's folder, and a server
on a port listens at net/<port>, else on the loopback: firmware/chip/README.md. Addresses are
(host, port).
"""

import errno
import io

import _board
import network
import select
import usocket
import utime
from usocket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM  # noqa: F401
from usocket import SO_BROADCAST, SO_REUSEADDR, SOL_SOCKET  # noqa: F401

IPPROTO_IP = 0
IPPROTO_TCP = 6
IP_ADD_MEMBERSHIP = 3
IP_DROP_MEMBERSHIP = 4
TCP_NODELAY = 1

_UNREACHABLE = 113  # EHOSTUNREACH

# The names that were asked for; the addresses given for them are of a network for benchmarks (RFC
# 2544), and lead to the name again at the way out, which knows where it is.
_names = []
_oldest = 0


def _resolve(host):
    global _oldest
    if not host:
        return "0.0.0.0"
    parts = host.split(".")
    if len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts):
        return host
    if not _board.PROXY:
        try:
            found = usocket.getaddrinfo(host, 0, AF_INET)
        except OSError:
            raise OSError(-2)
        return usocket.inet_ntop(AF_INET, usocket.sockaddr(found[0][-1])[1])
    if host not in _names:
        if len(_names) < 16:
            _names.append(host)
        else:
            _names[_oldest] = host
            _oldest = (_oldest + 1) % 16
    return "198.18.0.%d" % (_names.index(host) + 1)


def _host(address):
    if address.startswith("198.18.0."):
        i = int(address[9:]) - 1
        if 0 <= i < len(_names):
            return _names[i]
    return address


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    if host not in ("", "0.0.0.0", "127.0.0.1") and _board.DIR:
        try:
            network.route()
        except OSError:
            raise OSError(-6)  # as lwIP says where it has no name server
    return [(AF_INET, SOCK_STREAM, 0, "", (_resolve(host), port))]


def _path(name):
    """The address of a socket in net/, by way of a descriptor where its path is too long."""
    global _folder
    path = "%s/net/%s" % (_board.DIR, name)
    if len(path) > 100:
        if _folder is None:
            # O_PATH, O_DIRECTORY, O_CLOEXEC
            _folder = _board.libc.func("i", "open", "si")(_board.DIR, 0o12200000)
        path = "/proc/self/fd/%d/net/%s" % (_folder, name)
    return b"\x01\x00" + path.encode() + b"\0"


_folder = None


class socket(io.IOBase):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, *, _raw=None):
        self._stream = type == SOCK_STREAM
        if _raw is None:
            _raw = usocket.socket(usocket.AF_UNIX if _board.PROXY else af, type)
        self._raw = _raw
        self._raw.setblocking(False)
        self._timeout = None  # milliseconds
        self._poll = None
        self._answer = None  # what the way out said so far; None where there is nothing to hear
        self._failed = 0
        self._asked = ""

    # --- Waiting

    def settimeout(self, seconds):
        self._timeout = None if seconds is None else int(seconds * 1000)

    def setblocking(self, flag):
        self._timeout = None if flag else 0

    def _wait(self, events, ms=None):
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._raw, events)
        self._poll.modify(self._raw, events)
        if not self._poll.poll(-1 if ms is None else ms):
            raise OSError(errno.ETIMEDOUT)

    def _try(self, do, arg, events):
        """Does something as soon as that goes, within the time that it has."""
        began = utime.ticks_ms()
        while True:
            try:
                return do(arg)
            except OSError as e:
                if e.errno != errno.EAGAIN or self._timeout == 0:
                    raise
            ms = None
            if self._timeout is not None:
                ms = self._timeout - utime.ticks_diff(utime.ticks_ms(), began)
                if ms <= 0:
                    raise OSError(errno.ETIMEDOUT)
            self._wait(events, ms)

    # --- Connections

    def connect(self, address):
        host, port = address
        if _board.DIR and host != "127.0.0.1":
            try:
                network.route()
            except OSError:
                raise OSError(_UNREACHABLE)
        if not _board.PROXY:
            there = usocket.getaddrinfo(_resolve(host), port, AF_INET)[0][-1]
            try:
                self._raw.connect(there)
            except OSError as e:
                if e.errno != errno.EINPROGRESS or self._timeout == 0:
                    raise
                self._wait(select.POLLOUT, self._timeout)
                self._raw.connect(there)  # says what came of it
            return
        if not self._stream:
            return
        try:
            self._raw.connect(_path("out"))
        except OSError:
            raise OSError(_UNREACHABLE)
        self._raw.send(("CONNECT %s:%d\n" % (_host(host), port)).encode())
        self._answer = b""
        if self._timeout == 0:
            raise OSError(errno.EINPROGRESS)
        self._try(self._heard, None, select.POLLIN)

    def _heard(self, _=None):
        """Hears what the way out says; EAGAIN until then, ECONNREFUSED and the like after."""
        while self._answer is not None:
            byte = self._raw.recv(1)
            if byte == b"\n":
                ok = self._answer == b"ok"
                self._answer = None
                if not ok:
                    self._failed = errno.ECONNREFUSED
            elif not byte:
                self._answer = None
                self._failed = errno.ECONNRESET
            else:
                self._answer += byte
        if self._failed:
            raise OSError(self._failed)

    def bind(self, address):
        host, port = address
        if not _board.PROXY:
            self._raw.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            self._raw.bind(usocket.getaddrinfo("127.0.0.1", port, AF_INET)[0][-1])
        elif self._stream:
            _board.libc.func("i", "unlink", "s")("%s/net/%d" % (_board.DIR, port))
            self._raw.bind(_path(str(port)))

    def listen(self, backlog=2):
        self._raw.listen(backlog)

    def accept(self):
        raw, address = self._try(self._accept, None, select.POLLIN)
        where = ("10.0.0.1", 0)
        if not _board.PROXY:
            address = usocket.sockaddr(address)
            where = (usocket.inet_ntop(AF_INET, address[1]), address[2])
        return socket(_raw=raw), where

    def _accept(self, _):
        return self._raw.accept()

    # --- Bytes

    def _receive(self, n):
        if self._answer is not None or self._failed:
            self._heard()
        return self._raw.recv(n)

    def _send(self, data):
        if self._failed:
            raise OSError(self._failed)
        return self._raw.send(data)

    def recv(self, n):
        return self._try(self._receive, n, select.POLLIN)

    def send(self, data):
        return self._try(self._send, data, select.POLLOUT)

    def sendall(self, data):
        left = memoryview(data)
        while left:
            left = left[self.send(left):]

    def recvfrom(self, n):
        if _board.PROXY:
            return self.recv(n), ("10.0.0.1", 0)
        data, address = self._try(self._raw.recvfrom, n, select.POLLIN)
        address = usocket.sockaddr(address)
        return data, (usocket.inet_ntop(AF_INET, address[1]), address[2])

    def sendto(self, data, address):
        if _board.PROXY:
            return len(data)  # nobody is there
        host, port = address
        there = usocket.getaddrinfo(_resolve(host), port, AF_INET, SOCK_DGRAM)[0][-1]
        return self._raw.sendto(data, there)

    def setsockopt(self, level, option, value):
        if not _board.PROXY and level == SOL_SOCKET and option in (SO_REUSEADDR, SO_BROADCAST):
            self._raw.setsockopt(level, option, value)

    # --- A stream: where nothing can be done at once, None is what a socket that does not block
    # gives. TLS and asyncio use these.

    def readinto(self, room, n=-1):
        try:
            data = self.recv(len(room) if n < 0 else n)
        except OSError as e:
            if e.errno == errno.EAGAIN:
                return None
            raise
        room[: len(data)] = data
        return len(data)

    def read(self, n=-1):
        data = b""
        while n < 0 or len(data) < n:
            try:
                more = self.recv(1024 if n < 0 else n - len(data))
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    return data or None
                raise
            if not more:
                break
            data += more
            if self._timeout == 0 and n >= 0:
                break
        return data

    def readline(self, n=-1):
        line = b""
        while n < 0 or len(line) < n:
            try:
                c = self.recv(1)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    return line or None
                raise
            line += c
            if c == b"\n" or not c:
                break
        return line

    def write(self, data, *more):
        if more:
            data = memoryview(data)[: more[0]] if len(more) == 1 else memoryview(data)[
                more[0]: more[0] + more[1]
            ]
        try:
            if self._timeout == 0:
                return self.send(data)
            self.sendall(data)
            return len(data)
        except OSError as e:
            if e.errno == errno.EAGAIN:
                return None
            raise

    def makefile(self, *mode):
        return self

    def ioctl(self, request, arg):
        if request == 4:  # MP_STREAM_CLOSE
            self._raw.close()
            return 0
        if request == 10:  # MP_STREAM_GET_FILENO
            return self._raw.fileno()
        if request == 3:  # MP_STREAM_POLL
            p = select.poll()
            p.register(self._raw, arg)
            found = p.poll(0)
            return found[0][1] if found else 0
        return -1

    def close(self):
        self._raw.close()

    def __del__(self):
        self._raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        return "<socket>"
