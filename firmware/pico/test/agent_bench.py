"""A virtual Pico and a server that can misbehave, for agent_test.py: CPython alone."""

import base64
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PICO = os.path.dirname(HERE)
sys.path.insert(0, PICO)
import flota_p256 as p256  # noqa: E402: the product's, which the vectors hold to its word

MICROPYTHON, MPY_CROSS = os.environ["MICROPYTHON"], os.environ["MPY_CROSS"]
SIZE = 848 * 1024
KEY = "fk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
K = hashlib.sha256(KEY.encode()).digest()
KEY_ID = hashlib.sha256(b"flota-key-id\n" + K).hexdigest()[:32]
BOARD = "micropython:py:virtual_pico_w"


def multiply(k, x=p256._GX, y=p256._GY):
    X, Y, Z = 1, 1, 0
    for bit in bin(k)[2:]:
        X, Y, Z = p256._twice(X, Y, Z) if Z else (X, Y, Z)
        if bit == "1":
            X, Y, Z = p256._plus(X, Y, Z, x, y)
    i = pow(Z, -1, p256.P)
    return X * i * i % p256.P, Y * i * i * i % p256.P


def public(d):
    x, y = multiply(d)
    return b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def sign(d, data):
    e = int.from_bytes(hashlib.sha256(data).digest(), "big")
    k = int.from_bytes(hashlib.sha256(b"k" + data).digest(), "big") % p256.N
    r = multiply(k)[0] % p256.N
    s = pow(k, -1, p256.N) * (e + r * d) % p256.N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


SIGNER = 0x4DF02C89DDAE67C6D22266289D759CCC727252DD7D13351E8CD6C42FAB07
PUBLIC = public(SIGNER)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def index_of(files):
    lines = sorted((path.encode(), data) for path, data in files.items())
    return b"".join(b"%s %d %s\n" % (sha(d).encode(), len(d), p) for p, d in lines)


class Release:
    def __init__(self, deployment, files, version="", **more):
        self.deployment, self.files = deployment, files
        self.version = version or "v%d" % deployment
        self.index = index_of(files)
        self.digest = sha(self.index)
        self.parts = [self.index]
        self.parts += [d for _, d in sorted((p.encode(), d) for p, d in files.items())]
        payload = {
            "format": 1,
            "workspace": "w1",
            "target": {"device": "d1"},
            "board": BOARD,
            "release": "r%d" % deployment,
            "version": self.version,
            "deployment": deployment,
            "security_version": 0,
            "parts": [
                {
                    "kind": "index",
                    "path": "",
                    "offset": 0,
                    "size": len(self.index),
                    "sha256": self.digest,
                }
            ],
        }
        payload.update(more)
        data = json.dumps(payload).encode()
        self.statement = {
            "payload": base64.b64encode(data).decode(),
            "kid": hashlib.sha256(PUBLIC).hexdigest()[:16],
            "sig": base64.b64encode(sign(SIGNER, data)).decode(),
        }


class Server:
    """The device's side of the artifact service, as far as tests need it, and worse."""

    def __init__(self, tls=None):
        self.wanted = None  # a Release
        self.reports = []
        self.polls = []  # (running, etag)
        self.requests = []  # paths of images, with ranges
        self.sent = self.received = 0
        self.poll = 1
        self.misbehave = None  # f(method, path, headers) → None or (status, headers, body)
        self.cut_after = None  # bytes of an image's body, then the connection is reset
        self.spoil = None  # f(part number, bytes) → bytes
        self.drip = None  # seconds between two bytes of an image
        self.down = False
        self.tls = tls
        self.changed = threading.Condition()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http", self.port)

    def states(self, deployment):
        return [r["state"] for r in self.reports if r["deployment"] == deployment]

    def wait(self, done, seconds=60):
        with self.changed:
            return self.changed.wait_for(done, seconds)

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            connection.settimeout(60)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            while not self.down and self._one(connection):
                pass
        except (OSError, ValueError):
            pass
        connection.close()

    def _one(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return False
            head += piece
        if self.down:
            return False
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(4096)
        self.received += len(head) + 4 + len(body)
        with self.changed:
            answer = self.misbehave and self.misbehave(method, path, headers)
            if answer is None:
                answer = self._answer(method, path, headers, body)
            self.changed.notify_all()
        status, more, body = answer
        if status == 0:
            return False  # hangs up
        out = "HTTP/1.1 %d x\r\n" % status
        if not any(n == "Content-Length" or n == "Transfer-Encoding" for n in more):
            more = dict(more, **{"Content-Length": len(body)})
        out += "".join("%s: %s\r\n" % item for item in more.items()) + "\r\n"
        image = path.startswith("/d/v1/image/")
        if image and self.cut_after is not None and len(body) > self.cut_after:
            body, cut = body[: self.cut_after], True
        else:
            cut = False
        data = out.encode() + body
        self.sent += len(data)
        while image and self.drip and len(data) > 1:
            connection.sendall(data[:1])
            data = data[1:]
            time.sleep(self.drip)
        connection.sendall(data)
        with self.changed:
            self.changed.notify_all()
        if cut:
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
        return not cut

    def proved(self, headers, status, body=b"", etag=""):
        poll = str(self.poll)
        text = "\n".join(
            ("flota1-answer", headers["x-flota-nonce"], str(status), poll, etag, sha(body))
        )
        more = {
            "X-Flota-Poll": poll,
            "X-Flota-Mac": hmac.new(K, text.encode(), "sha256").hexdigest(),
        }
        if etag:
            more["ETag"] = etag
        return status, more, body

    def _answer(self, method, path, headers, body):
        if path.startswith("/d/v1/image/"):
            return self._image(path, headers)
        nonce, at = headers["x-flota-nonce"], headers["x-flota-time"]
        running, etag = headers.get("x-flota-running", ""), headers.get("if-none-match", "")
        text = "\n".join(("flota1-request", method, path, nonce, at, running, etag, sha(body)))
        mac = hmac.new(K, text.encode(), "sha256").hexdigest()
        if headers["authorization"] != "Flota1 %s:%s" % (KEY_ID, mac):
            return 401, {}, b"{}"
        if abs(int(at) - time.time()) > 300:
            return 401, {"X-Flota-Clock": str(int(time.time()))}, b'{"code":"clock"}'
        if path == "/d/v1/report":
            self.reports.append(json.loads(body))
            return self.proved(headers, 204)
        self.polls.append((running, etag))
        w = self.wanted
        if not w or (not etag and w.digest == running):
            return self.proved(headers, 304 if etag else 204)
        tag = '"%d"' % w.deployment
        if etag == tag:
            return self.proved(headers, 304, etag=tag)
        link = "/d/v1/image/t%d" % w.deployment
        offer = json.dumps({"statement": w.statement, "link": link}).encode()
        return self.proved(headers, 200, offer, tag)

    def _image(self, path, headers):
        name = re.match(r"/d/v1/image/t(\d+)(?:/(\d+))?$", path)
        w = self.wanted
        if not name or not w or int(name[1]) != w.deployment:
            return 404, {}, b"{}"
        number = int(name[2] or 0)
        data = w.parts[number]
        tag = {"ETag": '"%s"' % sha(data)}
        asked = headers.get("range")
        self.requests.append((number, asked))
        if self.spoil:
            data = self.spoil(number, data)
        if asked:
            start = int(re.match(r"bytes=(\d+)-$", asked)[1])
            if start >= len(data):
                return 416, {}, b"{}"
            tag["Content-Range"] = "bytes %d-%d/%d" % (start, len(data) - 1, len(data))
            return 206, tag, data[start:]
        return 200, tag, data


def agent_files(compiled=True):
    """The agent as the farm adds it: {path: bytes}."""
    files = {}
    for name in sorted(os.listdir(PICO)):
        if name.startswith("flota_") and name.endswith(".py") and name != "flota_boot.py":
            path = os.path.join(PICO, name)
            if compiled:
                words = [MPY_CROSS, "-s", name, "-o", "-", path]
                done = subprocess.run(words, check=True, capture_output=True, timeout=60)
                files[name[:-2] + "mpy"] = done.stdout
            else:
                with open(path, "rb") as f:
                    files[name] = f.read()
    return files


def given(server, **more):
    return dict(
        {
            "server": server.url(),
            "workspace": "w1",
            "device": "d1",
            "product_id": "bot_001",
            "key": KEY,
            "keys": [base64.b64encode(PUBLIC).decode()],
            "board": BOARD,
            "groups": [],
            "ca": "",
            "wifi": [{"ssid": "shed", "password": "12345678"}],
        },
        **more
    )


class Pico:
    """A board: its flash, and what a chip does around a process (firmware/chip/README.md)."""

    def __init__(self, folder, files, hurry=1, heap="270K"):
        self.folder, self.hurry, self.heap = folder, hurry, heap
        self.slow = False  # the flash, which takes its time then
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        with open(folder + "/efuse.json", "w") as f:
            json.dump({"mac": "a0b1c2d3e4f5", "chip": "RP2040"}, f)
        self.reset, self.output, self.cut = "power", "", None
        self.written = 0
        self.process = None
        self.make(files)

    def make(self, files):
        tree = self.folder + "/tree"
        for path, data in files.items():
            path = tree + path
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        image = [PICO + "/virtual/image.py", self.folder + "/flash.bin", str(SIZE), tree]
        subprocess.run([MICROPYTHON] + image, check=True, timeout=60)
        shutil.rmtree(tree)

    def keep(self):
        """The flash as it is."""
        with open(self.folder + "/flash.bin", "rb") as f:
            return f.read()

    def put_back(self, flash):
        with open(self.folder + "/flash.bin", "wb") as f:
            f.write(flash)
        self.reset = "power"

    def start(self):
        ours, theirs = socket.socketpair()
        environment = {
            "PATH": os.environ["PATH"],
            "BOARD_DIR": self.folder,
            "BOARD_RESET": self.reset,
            "BOARD_NET": "direct",
        }
        if self.hurry > 1:
            environment["BOARD_HURRY"] = str(self.hurry)
        if self.slow:
            environment["BOARD_SLOW_FLASH"] = "1"
        if self.cut is not None:
            environment["BOARD_CUT"] = str(self.cut)
        number = theirs.fileno()
        words = [MICROPYTHON, "-X", "heapsize=" + self.heap, PICO + "/virtual/rom.py"]

        def place():
            os.dup2(number, 3)
            os.set_inheritable(3, True)

        self.process = subprocess.Popen(
            words * 2,  # the ROM is told how it was started: a soft reset does it again
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            close_fds=False,
            preexec_fn=place,
        )
        theirs.close()
        self.control = ours
        self._line = b""
        self._limit = self._fed = None
        os.set_blocking(self.process.stdout.fileno(), False)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def press(self, down):
        self.control.sendall(b"pin 0 %d\n" % (not down))

    def _look(self):
        readable, _, _ = select.select([self.process.stdout, self.control], [], [], 0.02)
        for r in readable:
            if r is self.control:
                data = r.recv(65536)
                if not data:
                    time.sleep(0.01)
                *lines, self._line = (self._line + data).split(b"\n")
                for line in lines:
                    words = line.decode().split()
                    if words[0] == "watchdog":
                        self._limit, self._fed = float(words[1]), time.time()
                    elif words[0] == "feed":
                        self._fed = time.time()
                    elif words[0] == "written":
                        self.written = int(words[2])
            else:
                self.output += (r.read() or b"").decode("utf-8", "replace")

    def run(self, until=None, seconds=60):
        """Runs, over resets, until `until()` or a cut. Returns whether that was in time."""
        end = time.time() + seconds
        while time.time() < end:
            if until and until():
                return True
            if not self.process:
                self.start()
            self._look()
            if self._limit and time.time() - self._fed > self._limit:
                self.output += "[watchdog]\n"
                self.stop("watchdog")
                continue
            status = self.process.poll()
            if status is None:
                continue
            for _ in range(3):
                self._look()
            reasons = {64: "software", 65: "sleep", 66: "brownout", 99: "power"}
            self.reset = reasons.get(status, "crash")
            self.output += "[%s]\n" % self.reset
            self._over()
            if status == 99:
                self.cut = None
                return until is None
        return False

    def _over(self):
        self.control.close()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None
        if self.reset == "power" and os.path.exists(self.folder + "/rtc.bin"):
            os.remove(self.folder + "/rtc.bin")

    def stop(self, reset="power"):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.reset = reset
            self._over()

    def read(self, path):
        """A file of the flash, or None; the board must be off."""
        out = self.folder + "/read"
        code = (
            "import sys,vfs,os\nsys.path.insert(0,%r)\nfrom flash import Flash\n"
            "f=open(%r,'r+b')\no=open(%r,'wb')\n"
            "vfs.mount(vfs.VfsLfs2(Flash(f),progsize=256),'/p')\n"
            "o.write(open('/p'+%r,'rb').read())\no.close()\n"
        ) % (PICO + "/virtual", self.folder + "/flash.bin", out, path)
        done = subprocess.run([MICROPYTHON, "-c", code], capture_output=True, timeout=60)
        if done.returncode:
            return None
        with open(out, "rb") as f:
            return f.read()


def first_flash(server, main=b"import time\nwhile True: time.sleep(1)\n", **more):
    """The files of a new device that was given its server already."""
    slot = dict(agent_files(), **{"main.py": main})
    files = {"/a/" + path: data for path, data in slot.items()}
    files["/a/.index"] = index_of(slot)
    for name in ("boot.py", "main.py", "flota_boot.py"):
        with open(os.path.join(PICO, name), "rb") as f:
            files["/" + name] = f.read()
    files["/flota.json"] = json.dumps(given(server, **more)).encode()
    return files
