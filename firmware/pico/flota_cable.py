"""Provisioning over the serial port (firmware/README.md, "Provisioning over the cable")."""

import json
import os
import select
import sys
import time

import flota_boot
import flota_p256
from flota_statement import base64, loads
from flota_wire import origin, valid_key

FILE = "/flota.json"  # what the device was given; a secret
MAX_LINE = 6144
NEEDED = ("server", "workspace", "device", "product_id", "key", "keys", "board")
_ID = "abcdefghijklmnopqrstuvwxyz0123456789"
_NAME = _ID + "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-"
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_NETWORKS = (
    "The networks must be at most 4, each an SSID of 1 to 32 bytes "
    "and a password of 8 to 63, or none."
)

taken = False  # somebody serves the cable; the agent leaves it alone


class Wrong(Exception):
    """A line is refused: code, field, message."""


def _of(characters, text, most=64):
    return isinstance(text, str) and 1 <= len(text) <= most and all(c in characters for c in text)


def _size(text):
    return len(text.encode()) if isinstance(text, str) and "\0" not in text else -1


def _keys(given):
    if not isinstance(given, list) or not 1 <= len(given) <= 2:
        return False
    if len(given) == 2 and given[0] == given[1]:
        return False
    return all(isinstance(k, str) and flota_p256.point(base64(k) or b"") for k in given)


def _certificate(ca):
    if not isinstance(ca, str):
        return False
    ca = ca.strip()
    return not ca or (
        _size(ca) <= 3999
        and ca.startswith(_BEGIN)
        and ca.endswith(_END)
        and len(ca) > len(_BEGIN) + len(_END)
    )


def _password(password):
    size = _size(password)
    if size == 64:
        return all(c in "0123456789abcdefABCDEF" for c in password)
    return size == 0 or 8 <= size <= 63


def networks(given):
    """The networks of a list as it came over the cable. Raises Wrong."""
    found = []
    for one in given if isinstance(given, list) and len(given) <= 4 else (None,):
        ssid = one.get("ssid") if isinstance(one, dict) else None
        password = one.get("password", "") if ssid else None
        if not 1 <= _size(ssid) <= 32 or not _password(password):
            raise Wrong("invalid", "wifi", _NETWORKS)
        found.append({"ssid": ssid, "password": password})
    return found


def _groups(given):
    return (
        isinstance(given, list) and len(given) <= 8 and all(1 <= _size(g) <= 64 for g in given)
    )


def check(given):
    """What a device is given, as it is to be kept. Raises Wrong for the first wrong field."""
    board = given.get("board")
    rules = (
        ("server", origin(given.get("server")), "an origin like http://flota.local:8081"),
        ("workspace", _of(_ID, given.get("workspace")), "1 to 64 of a-z and 0-9"),
        ("device", _of(_ID, given.get("device")), "1 to 64 of a-z and 0-9"),
        ("product_id", _of(_NAME, given.get("product_id")), "1 to 64 of A-Z a-z 0-9 . _ -"),
        ("key", valid_key(given.get("key")), "a device key"),
        ("keys", _keys(given.get("keys")), "one or two public signing keys, different ones"),
        (
            "board",
            isinstance(board, str)
            and 1 <= len(board) <= 128
            and all(" " < c <= "~" for c in board),
            "1 to 128 printable characters without spaces",
        ),
        ("groups", _groups(given.get("groups", [])), "at most 8 names of 1 to 64 bytes"),
        ("ca", _certificate(given.get("ca", "")), "a certificate in PEM of at most 3999 bytes"),
    )
    for field, right, form in rules:
        if not right:
            raise Wrong("invalid", field, "%s must be %s." % (field, form))
    kept = {name: given[name] for name in NEEDED}
    kept["groups"] = given.get("groups", [])
    kept["ca"] = given.get("ca", "").strip()
    kept["wifi"] = networks(given.get("wifi", []))
    return kept


def load():
    """What is in the file, as far as it can be read."""
    try:
        with open(FILE) as f:
            given = json.load(f)
        return given if isinstance(given, dict) else {}
    except (OSError, ValueError, MemoryError):
        return {}


def store(given):
    """Keeps it, whole or not at all, and reads it back. Raises Wrong."""
    try:
        flota_boot.replace(FILE, json.dumps(given))
        if load() == given:
            return
    except OSError:
        pass
    raise Wrong("storage", "key", "It could not be stored.")


def answer(word, *members):
    """A line of the dialogue; members: (name, value)."""
    parts = ['"flota":"%s"' % word]
    parts.extend('"%s":%s' % (name, json.dumps(value)) for name, value in members)
    return "{%s}\n" % ",".join(parts)


class Cable:
    """The device's side of the dialogue, on sys.stdin and sys.stdout.

    agent  hello() and status(), pairs of name and value; changed() after it was given something
    """

    def __init__(self, agent):
        global taken
        taken = True
        self._agent = agent
        self._in = select.poll()
        self._in.register(sys.stdin, select.POLLIN)
        self._line = bytearray(MAX_LINE)
        self._size = 0

    def close(self):
        global taken
        taken = False

    def step(self):
        """Takes what has come, and answers each line that is whole."""
        stdin = getattr(sys.stdin, "buffer", sys.stdin)
        for _ in range(512):
            if not self._in.poll(0):
                return
            c = stdin.read(1)
            if not c:
                return
            said = self.feed(c[0])
            if said:
                sys.stdout.write(said)

    def feed(self, c):
        """Takes a byte; returns the answer to a line that it ends, or None."""
        if c != 10:
            if 0 <= self._size < MAX_LINE:
                self._line[self._size] = c
            if self._size or c == 123:  # what begins without a brace is somebody's output
                self._size += 1
            elif c not in (9, 13, 32):
                self._size = -1 << 20
            return None
        size, self._size = self._size, 0
        if size <= 0:
            return None
        said = self.line(memoryview(self._line)[: min(size, MAX_LINE)], size > MAX_LINE)
        for i in range(min(size, MAX_LINE)):
            self._line[i] = 0
        return said

    def line(self, line, too_long=False):
        """The answer to a line, or None where it is none of the dialogue's."""
        try:
            begin = "".join(str(bytes(line[:64]), "utf-8").split())
        except UnicodeError:
            begin = '{"flota":"'
        if not begin.startswith('{"flota":"'):
            return None
        try:
            if too_long:
                raise Wrong("invalid", "", "The line is too long.")
            try:
                given = loads(bytes(line))
                word = given.pop("flota")
            except (ValueError, AttributeError, KeyError):
                raise Wrong("invalid", "", "This is no JSON.")
            return self._command(word, given)
        except Wrong as e:
            names = zip(("code", "field", "message"), e.args)
            return answer("error", *names)

    def _command(self, word, given):
        if word == "hello":
            return answer("hello", *self._agent.hello())
        if word == "status":
            return answer("status", *self._agent.status())
        if word == "provision":
            given = check(given)
            before = load()
            if "button" in before:
                given["button"] = before["button"]
            store(given)
            self._agent.changed()
            return answer("provisioned", ("device", given["device"]))
        if word == "wifi":
            found = networks(given.get("wifi"))
            given = load()
            given["wifi"] = found
            store(given)
            self._agent.changed()
            return answer("wifi", ("networks", len(found)))
        if word == "erase":
            for path in (FILE, "/flota/agent"):
                try:
                    os.remove(path)
                except OSError:
                    pass
            self._agent.changed()
            return answer("erased")
        raise Wrong("invalid", "flota", "There is no such command.")


def listen():
    """Serves the cable until Ctrl-C."""
    import flota_agent

    cable = Cable(flota_agent.agent())
    try:
        while True:
            cable.step()
            time.sleep_ms(5)
    finally:
        cable.close()
