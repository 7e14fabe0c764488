"""The signed statement and the index (firmware/README.md): what a device decides about them."""

import json
from array import array
from binascii import a2b_base64, b2a_base64, unhexlify
from hashlib import sha256

import flota_p256
from flota_wire import MAX_PATH, key_name, number

MAX_PAYLOAD = 2800
MAX_NUMBER = 1 << 53
MAX_PARTS = 16
MAX_INDEX = 65536  # bytes
MAX_LINES = 256
_HEX = "0123456789abcdef"
_KINDS = ("app", "file", "filesystem", "index")


class Wrong(Exception):
    """A statement is refused; its argument is the reason."""


def base64(text):
    """The bytes of standard, padded base64, or None: a2b_base64 alone takes much more."""
    try:
        data = a2b_base64(text)
    except (TypeError, ValueError):
        return None
    padding = 2 if text[-2:] == "==" else 1 if text[-1:] == "=" else 0
    if len(text) % 4 or len(data) != len(text) // 4 * 3 - padding:
        return None
    if padding and b2a_base64(data[padding - 3:])[:-1] != text[-4:].encode():
        return None
    return data


def _literal(word):
    if word in ("true", "false", "null"):
        return True
    digits = word[1:] if word[0] == "-" else word
    if not "0" <= digits[:1] <= "9" or not "0" <= word[-1] <= "9":
        return False
    if digits[0] == "0" and "0" <= digits[1:2] <= "9":
        return False
    try:
        float(word)
        return True
    except ValueError:
        return False


def loads(text):
    """json.loads() of bytes, by the grammar (RFC 8259): MicroPython's takes more.

    Raises ValueError.
    """
    i, opened, want = 0, [], "value"
    while i < len(text):
        c = text[i]
        i += 1
        if c in b" \t\r\n":
            continue
        if want == "end":
            if not opened or c not in (44, opened[-1] + 2):
                raise ValueError
            if c == 44:
                want = "key" if opened[-1] == 123 else "value"
            else:
                opened.pop()
        elif want == "colon":
            if c != 58:
                raise ValueError
            want = "value"
        elif c in b"]}" and opened and c == opened[-1] + 2 and want in ("key or }", "value or ]"):
            opened.pop()
            want = "end"
        elif c == 34:
            while True:
                i = text.find(b'"', i) + 1
                if not i:
                    raise ValueError
                escapes = i - 2
                while text[escapes] == 92:
                    escapes -= 1
                if (i - escapes) % 2 == 0:
                    break
            want = "colon" if want[0] == "k" else "end"
        elif want[0] == "k":
            raise ValueError
        elif c in b"[{":
            opened.append(c)
            want = "key or }" if c == 123 else "value or ]"
        else:
            end = i
            while end < len(text) and text[end] not in b",]} \t\r\n":
                end += 1
            if not _literal(str(text[i - 1:end], "utf-8")):
                raise ValueError
            i, want = end, "end"
    if opened or want != "end":
        raise ValueError
    return json.loads(text)


def is_digest(text):
    return isinstance(text, str) and len(text) == 64 and all(c in _HEX for c in text)


def valid_path(path):
    """Whether a file may have this path."""
    if not isinstance(path, str) or not 0 < len(path.encode()) <= 128:
        return False
    for c in path:
        # Unicode's category Cc: U+0080 to U+009F, too.
        if c < " " or "\x7f" <= c <= "\x9f" or c == "\\":
            return False
    for name in path.split("/"):
        if name in ("", ".", ".."):
            return False
    return True


def valid_link(link):
    if not isinstance(link, str) or len(link) >= MAX_PATH or link[:1] != "/" or link[:2] == "//":
        return False
    return all(" " < c <= "~" for c in link)


def _object(value):
    if value is not None and not isinstance(value, dict):
        raise Wrong("format")
    return value or {}


def _list(value):
    if value is not None and not isinstance(value, list):
        raise Wrong("format")
    return value or ()


def _text(of, name):
    value = of.get(name)
    if value is not None and not isinstance(value, str):
        raise Wrong("format")
    return value or ""


def _number(of, name, low=0):
    value = of.get(name)
    if value is None:
        return 0
    if type(value) is not int or not low <= value <= MAX_NUMBER:
        raise Wrong("format")
    return value


def parse_offer(body):
    """An answer 200, bytes: (payload, kid, signature, link). Raises Wrong("format")."""
    try:
        offer = loads(body)
    except ValueError:
        raise Wrong("format")
    if not isinstance(offer, dict) or not valid_link(offer.get("link")):
        raise Wrong("format")
    statement = _object(offer.get("statement"))
    payload, sig = base64(_text(statement, "payload")), base64(_text(statement, "sig"))
    if payload is None or sig is None:
        raise Wrong("format")
    return payload, _text(statement, "kid"), sig, offer["link"]


def _part(value, first):
    if not isinstance(value, dict):
        raise Wrong("format")
    kind, path = _text(value, "kind"), _text(value, "path")
    offset, size = _number(value, "offset"), _number(value, "size")
    file = kind == "file"
    if (
        kind not in _KINDS
        or (kind == "app" and not first)
        or (path and not file)
        or (file and not valid_path(path))
        or (offset and kind != "filesystem")
        or (not size and not file)
        or (kind == "index" and size > MAX_INDEX)
        or not is_digest(value.get("sha256"))
    ):
        raise Wrong("format")
    return kind, path, offset, size, value["sha256"]


def _parts(value):
    value = _list(value)
    if not 1 <= len(value) <= MAX_PARTS:
        raise Wrong("format")
    parts = [_part(v, i == 0) for i, v in enumerate(value)]
    paths = [p[1] for p in parts if p[0] == "file"]
    if len(set(paths)) < len(paths) or any(p[0] == "index" for p in parts[:-1]):
        raise Wrong("format")
    return parts


def _new_key(value):
    value = _list(value)
    if not value:
        return None
    key = base64(value[0]) if len(value) == 1 and isinstance(value[0], str) else None
    if not key or not flota_p256.point(key):
        raise Wrong("format")
    return key


class Statement:
    """What a payload says. `deployment` is 0 as long as there is no number to be believed."""

    deployment = 0
    security_version = 0
    version = ""
    parts = ()
    keys = None  # those to trust once it is accepted, where they are others

    def _read(self, payload):
        try:
            p = loads(payload)
        except ValueError:
            raise Wrong("format")
        if not isinstance(p, dict):
            raise Wrong("format")
        self.deployment = _number(p, "deployment", 1)
        if not self.deployment or len(payload) > MAX_PAYLOAD or p.get("format") != 1:
            raise Wrong("format")
        self.version = _text(p, "version")
        _text(p, "release")
        self.security_version = _number(p, "security_version")
        target = _object(p.get("target"))
        target = _text(target, "device"), _text(target, "group")
        who = _text(p, "workspace"), _text(p, "board")
        if not all(who) or bool(target[0]) == bool(target[1]):
            raise Wrong("format")
        self.parts = _parts(p.get("parts"))
        return who, target, _new_key(p.get("keys"))

    def check(self, offer, device):
        """Decides about an offer of parse_offer(): a generator. Raises Wrong with the reason.

        device: workspace, device, board, groups, keys (a list of 65 bytes each), accepted,
        security_version, and slot, filesystem, files: bytes of room, -1 where it has none.
        """
        payload, kid, signature, _ = offer
        by = None
        digest = sha256(payload).digest()
        for key in device["keys"]:
            if len(signature) == 64 and key_name(key) == kid:
                if (yield from flota_p256.verify(key, digest, signature)):
                    by = key
        if by is None:
            raise Wrong("signature")
        who, target, new = self._read(payload)
        if new == by:
            raise Wrong("format")
        ours = target[0] == device["device"] if target[0] else target[1] in device["groups"]
        if who[0] != device["workspace"] or not ours:
            raise Wrong("target")
        if who[1] != device["board"]:
            raise Wrong("board")
        if self.deployment < device["accepted"]:
            raise Wrong("replay")
        if self.security_version < device["security_version"]:
            raise Wrong("downgrade")
        files = device["files"]
        for kind, _, offset, size, _ in self.parts:
            if kind == "app":
                left = device["slot"] - size
            elif kind == "filesystem":
                left = -1 if device["filesystem"] < 0 else device["filesystem"] - offset - size
            else:
                left = files = files - size if files >= 0 else -1
            if left < 0:
                raise Wrong("too_large")
        if new:
            self.keys = [by, new]


def index_line(line, before=b""):
    """(digest, size, path) of a line of an index, bytes without LF; None where it is none.

    before  the bytes of the path of the line before
    """
    if len(line) < 68 or len(line) > 256 or line[64] != 32:
        return None
    try:
        text = str(line, "utf-8")
    except UnicodeError:
        return None
    digits, space, path = text[65:].partition(" ")
    size = number(digits)
    if not is_digest(text[:64]) or not space or size < 0 or (digits[0] == "0" and len(digits) > 1):
        return None
    if not valid_path(path) or path.encode() <= before:
        return None
    return text[:64], size, path


class Index:
    """An index in a file, whose size and digest were checked. Little of each line is in memory.

    path  of the file
    Where it is not of the form, `valid` is False. load() must have run.
    """

    def __init__(self, path):
        self.path = path
        self.valid = False
        self.size = 0  # of all files
        self._file = None
        self._starts = array("H")
        self._digests = bytearray()  # 4 bytes of each

    def load(self, taken=()):
        """Reads it: a generator. `taken`: paths that must not come."""
        self._file = open(self.path, "rb")
        before, at = b"", 0
        while True:
            line = self._file.readline(258)
            if not line:
                break
            if len(self) == MAX_LINES or at + len(line) > MAX_INDEX or line[-1] != 10:
                return
            found = index_line(line[:-1], before)
            if not found or found[2] in taken:
                return
            self._starts.append(at)
            self._digests.extend(unhexlify(line[:8]))
            self.size += found[1]
            before = found[2].encode()
            at += len(line)
            yield
        self.valid = len(self) > 0

    def close(self):
        """Gives its memory back; what is asked opens it again."""
        if self._file:
            self._file.close()
            self._file = None

    def __len__(self):
        return len(self._starts)

    def line(self, i):
        """(digest, size, path) of line i, from 0."""
        if not self._file:
            self._file = open(self.path, "rb")
        self._file.seek(self._starts[i])
        return index_line(self._file.readline(258)[:-1])

    def find(self, digest):
        """(digest, size, path) of the first file with this digest, or None."""
        want = unhexlify(digest[:8])
        at = self._digests.find(want)
        while at >= 0:
            found = self.line(at // 4) if at % 4 == 0 else None
            if found and found[0] == digest:
                return found
            at = self._digests.find(want, at + 1)
        return None

    def has(self, path):
        """Whether it names this path; they are in order."""
        return self.number(path) is not None

    def number(self, path):
        path = path.encode()
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            there = self.line(middle)[2].encode()
            if there == path:
                return middle
            if there < path:
                low = middle + 1
            else:
                high = middle
        return None
