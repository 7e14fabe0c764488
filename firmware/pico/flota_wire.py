"""What the agent asks of its server (firmware/README.md, "Transport rules" and "Who asks").

One connection, one request at a time, each as a generator over a socket that never blocks. It
yields True where it waits for somebody else.
"""

import errno
import os
import select
import socket
from binascii import a2b_base64, hexlify
from hashlib import sha256

import tls

import flota_boot
import flota_clock as clock

MAX_ANSWER = 4096  # bytes of an answer to a poll
MAX_PATH = 200  # paths and links are shorter
_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_WAITS = (errno.EAGAIN, errno.EINPROGRESS)


def hex_of(data):
    return hexlify(data).decode()


def hmac_sha256(key, message):
    """Of a key of 32 bytes (RFC 2104)."""
    inner = sha256(bytes(b ^ 0x36 for b in key) + b"\x36" * 32)
    inner.update(message)
    outer = sha256(bytes(b ^ 0x5C for b in key) + b"\x5c" * 32)
    outer.update(inner.digest())
    return outer.digest()


def valid_key(key):
    """Whether a text is a device key. 43 characters hold 258 bits; the last two must be 0."""
    return (
        isinstance(key, str)
        and len(key) == 46
        and key.startswith("fk_")
        and all(c in _KEY for c in key[3:])
        and key[-1] in "AEIMQUYcgkosw048"
    )


def derive(key):
    """K and key_id of a device key."""
    k = sha256(key.encode()).digest()
    return k, hex_of(sha256(b"flota-key-id\n" + k).digest()[:16])


def key_name(public):
    """The kid of a public signing key."""
    return hex_of(sha256(public).digest()[:8])


def request_mac(k, method, path, nonce, time, running, etag, body):
    lines = "flota1-request", method, path, nonce, time, running, etag
    text = "\n".join(lines) + "\n" + hex_of(sha256(body).digest())
    return hex_of(hmac_sha256(k, text.encode()))


def genuine(k, nonce, status, poll, etag, body, mac):
    """Whether an answer is the server's own, and fresh: a check-in."""
    if status not in (200, 204, 304):
        return False
    lines = "flota1-answer", nonce, str(status), poll, etag, hex_of(sha256(body).digest())
    want = hex_of(hmac_sha256(k, "\n".join(lines).encode()))
    if len(mac) != 64:
        return False
    different = 0
    for a, b in zip(want, mac):
        different |= ord(a) ^ ord(b)
    return not different


def number(text):
    """A decimal number of the protocol's, 0 to 2^53; -1 where it is none."""
    if not 1 <= len(text) <= 16:
        return -1
    for c in text:
        if not "0" <= c <= "9":
            return -1
    value = int(text)
    return value if value <= 1 << 53 else -1


def origin(server):
    """(tls, host, port, authority) of http://host:port; None where it is none."""
    if not isinstance(server, str) or len(server) > 128:
        return None
    tls = server.startswith("https://")
    if not tls and not server.startswith("http://"):
        return None
    authority = server[8 if tls else 7:]
    if authority.startswith("["):
        end = authority.find("]")
        host, rest = authority[1:end], authority[end + 1:]
        allowed = end > 0 and all(c in "0123456789abcdefABCDEF:." for c in host)
    else:
        host, colon, port = authority.partition(":")
        rest = colon + port
        allowed = all(" " < c <= "~" and c not in '/\\?#@[]<>"^`{|}%' for c in host)
    if not host or not allowed:
        return None
    port = 443 if tls else 80
    if rest:
        port = number(rest[1:]) if rest[0] == ":" else -1
    return (tls, host, port, authority) if 0 < port < 65536 else None


def outcome(status):
    """What a status is for the device: ok, outage, unknown, forbidden, later, wrong."""
    if status in (200, 204, 206, 304):
        return "ok"
    if status in (400, 404, 413, 416):
        return "wrong"
    if status in (429, 503):
        return "later"
    return {401: "unknown", 403: "forbidden"}.get(status, "outage")


class _Broken(Exception):
    """The connection, or what came over it, is of no use."""


class Wire:
    """The connection to the server.

    room    a bytearray of 4096: the body of an answer to ask() lies in it, `length` bytes

    After a request: status (0: none), length, and what else was answered; "" or -1: not answered.
    """

    def __init__(self, room):
        self.room = room
        self.view = memoryview(room)
        self.server = "none"  # the cable's word for how it went last
        self.origin = None
        self._in = bytearray(512)
        self._line = bytearray(256)
        self._at = self._size = 0
        self._sock = None
        self._poller = select.poll()
        self._clock = None  # (the server's seconds, at which now())
        self._address = None
        self._clear()

    def set(self, server, key, ca):
        """Whom to ask, and as whom. False where that is not possible."""
        self.close()
        self.server = "none"
        self.origin = origin(server)
        self._k, self._key_id = derive(key)
        self._ca = ca
        self._clock = self._address = None
        return self.origin is not None

    def close(self):
        if self._sock:
            try:
                self._poller.unregister(self._raw)
                self._sock.close()
                if self._raw is not self._sock:
                    self._raw.close()
            except (OSError, KeyError):
                pass
        self._sock = self._raw = None
        self._at = self._size = 0

    def _clear(self):
        self.status = 0
        self.length = self.clock = self.retry_after = -1
        self.poll = self.etag = self.mac = self.range = ""
        self._stays = False
        self._left = 0  # of the body

    def _wait(self, began, limit=clock.NO_PROGRESS):
        if clock.now() - began > clock.patience(limit):
            raise _Broken
        return True

    def _open(self):
        secure, host, port, _ = self.origin
        if not self._address:
            self._address = flota_boot.resolve(host, port, 0, socket.SOCK_STREAM)[0]
            yield
        self._raw = self._sock = socket.socket(self._address[0], socket.SOCK_STREAM)
        self._raw.setblocking(False)
        self._poller.register(self._raw, select.POLLOUT)
        began = clock.now()
        try:
            self._raw.connect(self._address[-1])
        except OSError as e:
            if e.errno not in _WAITS:
                raise
            while not self._poller.poll(0):
                yield self._wait(began, clock.CONNECT)
        if self._poller.poll(0)[0][1] & (select.POLLERR | select.POLLHUP):
            raise _Broken
        if secure:
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_NONE  # statements and answers prove themselves
            if self._ca:
                from flota_station import set_clock

                if not (yield from set_clock()):
                    raise _Broken
                pem = self._ca[: self._ca.rfind("-----END")]
                context.verify_mode = tls.CERT_REQUIRED
                context.load_verify_locations(a2b_base64(pem[27:]))
            yield
            self._sock = context.wrap_socket(
                self._raw, server_hostname=host, do_handshake_on_connect=False
            )

    def _send(self, data):
        data = memoryview(data)
        began = clock.now()
        while data:
            n = self._sock.write(data)
            if n:
                data = data[n:]
                began = clock.now()
            else:
                yield self._wait(began)

    def _read(self, view):
        began = clock.now()
        while True:
            n = self._sock.readinto(view)
            if n is not None:
                if not n:
                    raise _Broken
                return n
            yield self._wait(began)

    def _head(self):
        # Stricter than RFC 9112: what a right server never sends is refused.
        line, size, total = self._line, 0, 0
        while total < 8192:
            if self._at == self._size:
                self._at = self._size = 0
                self._size = yield from self._read(self._in)
            c = self._in[self._at]
            self._at += 1
            total += 1
            if c != 10:
                if size < 256:
                    line[size] = c
                size += 1
                continue
            cut = size > 256
            text = str(bytes(memoryview(line)[: min(size, 256)]), "utf-8").rstrip("\r")
            if not self.status:
                self._status_line(text)
            elif not text:
                return
            else:
                self._header(text, cut)
            size = 0
        raise _Broken

    def _status_line(self, text):
        status = number(text[9:12])
        if text[:9] not in ("HTTP/1.0 ", "HTTP/1.1 ") or text[12:13] not in ("", " "):
            raise _Broken
        if not 200 <= status <= 599:
            raise _Broken
        self.status = status
        self._stays = text[7] == "1"

    def _header(self, text, cut):
        name, colon, value = text.partition(":")
        value = value.strip()
        if not colon or not name or " " in name or "\t" in name:
            raise _Broken
        name = name.lower()
        if name == "transfer-encoding":
            raise _Broken
        if name == "connection" and value.lower() != "keep-alive":
            self._stays = False
        field = {
            "content-length": "length",
            "x-flota-clock": "clock",
            "content-range": "range",
            "etag": "etag",
            "x-flota-poll": "poll",
            "x-flota-mac": "mac",
        }.get(name)
        if name == "retry-after" and self.retry_after < 0:
            self.retry_after = number(value)
        if not field or (field == "etag" and len(value) >= 24):
            return  # an image's ETag is a digest, which the statement tells better
        if cut or getattr(self, field) not in ("", -1):
            raise _Broken
        if field in ("length", "clock"):
            value = number(value)
            if value < 0:
                raise _Broken
        elif len(value) > 64 or not all(" " <= c <= "~" for c in value):
            raise _Broken
        setattr(self, field, value)

    def _exchange(self, head, body, once=False):
        """Sends a request and reads the head of its answer. False for none that is of use.

        once    not again by itself where a connection that was kept turns out to be none any more
        """
        while True:
            kept = self._sock is not None
            self._clear()
            try:
                if not kept:
                    yield from self._open()
                yield from self._send(head)
                if body:
                    yield from self._send(body)
                yield from self._head()
                if self.status in (204, 304):
                    self.length = 0
                self._left = self.length if self.length >= 0 else 0
                return True
            except (_Broken, OSError, ValueError, IndexError) as e:
                self.close()
                self._clear()
                if kept and not once:
                    continue  # the server had enough of the connection before; another one
                self._address = None
                self.server = "unreachable"
                if "X509" in str(e) or e.args[:1] == (-0x2700,):
                    self.server = "certificate"
                return False

    def read(self, view):
        """Reads bytes of the body into `view`: a generator; 0 at its end, or where it was cut."""
        if not self._left:
            return 0
        try:
            if self._at < self._size:
                n = min(self._size - self._at, len(view))
                view[:n] = memoryview(self._in)[self._at:self._at + n]
                self._at += n
            else:
                n = yield from self._read(view[: self._left] if self._left < len(view) else view)
        except (_Broken, OSError):
            self.close()
            return 0
        if n > self._left:
            self.close()
            return 0
        self._left -= n
        if not self._left and (not self._stays or self._at < self._size):
            self.close()
        return n

    def _finish(self):
        # Nobody reads the body of another answer.
        if self._left or not self._stays:
            self.close()

    def time(self):
        """The server's clock as far as it is known, in seconds; 0 where it is not."""
        if not self._clock:
            return 0
        return self._clock[0] + (clock.now() - self._clock[1]) // (1000 * clock.hurry)

    def _ask_once(self, method, path, running, etag, body):
        nonce = hex_of(os.urandom(16))
        time = str(self.time())
        mac = request_mac(self._k, method, path, nonce, time, running, etag, body)
        head = (
            "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Flota1 %s:%s\r\nX-Flota-Nonce: %s\r\n"
            "X-Flota-Time: %s\r\n" % (method, path, self.origin[3], self._key_id, mac, nonce, time)
        )
        if running:
            head += "X-Flota-Running: %s\r\n" % running
        if etag:
            head += "If-None-Match: %s\r\n" % etag
        if body:
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        kept = self._sock is not None
        if not (yield from self._exchange((head + "\r\n").encode(), body, True)):
            if kept:  # the connection was none any more; another one, and another nonce
                return (yield from self._ask_once(method, path, running, etag, body))
            return "outage"
        result = outcome(self.status)
        if self.status != 200:
            self._finish()
            self.length = 0
        if result != "ok":
            return result
        if self.status == 206 or not 0 <= self.length <= MAX_ANSWER:
            self.close()
            return "outage"
        size = 0
        while size < self.length:
            n = yield from self.read(self.view[size:self.length])
            if not n:
                return "outage"
            size += n
        body = self.view[: self.length]
        if not genuine(self._k, nonce, self.status, self.poll, self.etag, body, self.mac):
            self.close()
            return "outage"
        return "ok"

    def ask(self, method, path, running="", etag="", body=b""):
        """A signed request, repeated once where only the clock was off: a generator.

        It returns the outcome; "ok" is a check-in. The answer's body lies in `room`.
        """
        result = yield from self._ask_once(method, path, running, etag, body)
        if result == "unknown" and self.clock >= 0:
            self._clock = self.clock, clock.now()
            result = yield from self._ask_once(method, path, running, etag, body)
        if result == "ok":
            self.server = "ok"
        elif result == "unknown":
            self.server = "clock" if self.clock >= 0 else "unknown_device"
        elif self.status:
            self.server = "unreachable"
        return result

    def image(self, link, size, offset=0):
        """Asks for the bytes of a link from an offset on: a generator.

        It returns the outcome, and the offset from which the body goes on; read() gives that.
        """
        head = "GET %s HTTP/1.1\r\nHost: %s\r\n" % (link, self.origin[3])
        if offset:
            head += "Range: bytes=%d-\r\n" % offset
        if not (yield from self._exchange((head + "\r\n").encode(), b"")):
            return "outage", offset
        result = outcome(self.status)
        if self.status == 200 and self.length == size:
            return result, 0
        if self.status == 206 and offset and self.length == size - offset:
            if self.range == "bytes %d-%d/%d" % (offset, size - 1, size):
                return result, offset
        self.close()
        return ("outage" if result == "ok" else result), offset
