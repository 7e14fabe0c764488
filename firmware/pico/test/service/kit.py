"""What the tests of the upload service need: a board as a process, and HTTP with every freedom."""

import atexit
import base64
import functools
import hashlib
import json
import os
import pathlib
import queue
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PICO = HERE.parent.parent
MODULES = ("service_ota.py", "manager_wifi.py")
MICROPYTHON = os.environ.get("MICROPYTHON") or subprocess.check_output(
    [PICO.parent.parent / "deploy/toolchain/micropython.sh"], text=True).strip() + "/micropython"
MPY_CROSS = os.environ.get("MPY_CROSS") or subprocess.check_output(
    [PICO.parent.parent / "deploy/toolchain/mpy-cross.sh"], text=True).strip()
PATIENCE = 60  # seconds for anything
USER, PASSWORD = "admin", "a good password"

MAIN = """
import uasyncio as asyncio
from manager_wifi import WiFiManager
from service_ota import OTAUpdateService
wifi = WiFiManager({ssid!r}, "password", "pico")
async def main():
    global ota
    ota = OTAUpdateService(wifi, {user!r}, {password!r}, port={port})
    await ota.start()
    while True:
        await asyncio.sleep(1)
asyncio.run(main())
"""


def free_port():
    """One that nobody listens on, of those that Linux gives to no outgoing connection."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Reply:
    """An answer: status, headers by lower-case name, body."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        if self.headers.get("transfer-encoding") == "chunked":
            self.whole, chunks, self.body = False, self.body, b""
            while b"\r\n" in chunks and not self.whole:
                size, _, chunks = chunks.partition(b"\r\n")
                size = int(size, 16)
                self.whole = not size
                self.body, chunks = self.body + chunks[:size], chunks[size + 2:]
        elif "content-length" in self.headers:
            self.whole = len(self.body) >= int(self.headers["content-length"])
        else:
            self.whole = False

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Board:
    """A board with files on its flash; start() and kill() are its power.

    modules are paths; without them it has the service compiled: to compile it here takes most of
    190 KB where an object has 64 bits (Imports in table.py).
    """

    def __init__(self, files=None, blocks=212, password=PASSWORD, ssid="virtual", modules=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pico-"))
        self.image = self.folder / "flash.bin"
        self.blocks = blocks
        self.port = free_port()
        self.root = self.folder / "files"
        self.root.mkdir()
        for path in modules or shipped():
            shutil.copy(path, self.root)
        shutil.copy(PICO / "service_page.html", self.root)
        files = {**{"main.py": MAIN.format(
            ssid=ssid, user=USER, password=password, port=self.port).encode()}, **(files or {})}
        for name, data in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(data)
        self.auth = (USER, password)
        self.process = None

    def start(self, *options, serving=True):
        """Switches it on; waits until it serves."""
        self.process = subprocess.Popen(
            [MICROPYTHON, "-X", "heapsize=512K", str(HERE / "board.py"), str(self.image),
             str(self.blocks), str(self.root), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        self.console = []
        self.reader = threading.Thread(target=self._read, args=(self.process,))
        self.reader.start()
        self.until("@started")
        if serving:
            self.await_open()
        return self

    def _read(self, process):
        for line in process.stdout:
            self.console.append(line)
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def until(self, word):
        """Lines until one that begins so; that one is the last."""
        got = []
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"the board never said {word}: {self.console}") from None
            if line is None:
                raise AssertionError(f"the board ended: {''.join(self.console)}")
            got.append(line)
            if line.startswith(word):
                return got

    def do(self, line):
        """Runs a line of Python on it; gives the words that it told."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        got = self.until("@done")
        errors = [g for g in got if g.startswith("@error")]
        if errors:
            raise AssertionError(f"{line}: {errors}")
        return [g[5:] for g in got if g.startswith("@say ")]

    def ask(self, expression):
        """The value of an expression on it."""
        return json.loads(self.do(f"import json; tell('say', json.dumps({expression}))")[0])

    def await_open(self, opened=True):
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            with socket.socket() as s:
                if (s.connect_ex(("127.0.0.1", self.port)) == 0) == opened:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the port is not {'open' if opened else 'closed'}: {self.console}")

    def kill(self):
        """Cuts the power."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.reader.join()
            self.process.stdout.close()
            self.process.stdin.close()
            self.process = None

    def seconds(self):
        """Of the processor, that it has used."""
        told = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = told.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def await_end(self):
        return self.process.wait(PATIENCE)

    def destroy(self):
        self.kill()
        shutil.rmtree(self.folder)

    # --- HTTP

    def connect(self, source="127.0.0.1"):
        limit = time.monotonic() + 5
        while True:
            try:
                s = socket.create_connection(
                    ("127.0.0.1", self.port), PATIENCE, source_address=(source, 0))
                return s
            except ConnectionRefusedError:
                if time.monotonic() > limit:
                    raise

    def head(self, method, path, length=None, auth=True, **headers):
        lines = [f"{method} {path} HTTP/1.1"]
        fields = {"Host": f"127.0.0.1:{self.port}"}
        if auth:
            user = self.auth if auth is True else auth
            fields["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        if length is not None:
            fields["Content-Length"] = length
        fields.update({k.replace("_", "-"): v for k, v in headers.items()})
        lines += [f"{k}: {v}" for k, v in fields.items() if v is not None]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def raw(self, data, source="127.0.0.1"):
        """Sends bytes, reads until the other end closes: an answer, or None without one."""
        with self.connect(source) as s:
            return exchange(s, data)

    def request(self, method, path, body=None, source="127.0.0.1", **headers):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        length = None if body is None else len(body)
        reply = self.raw(self.head(method, path, length, **headers) + (body or b""), source)
        assert reply, f"no answer to {method} {path}"
        return reply

    def put(self, name, data, digest=True, **headers):
        if digest:
            headers["X_SHA256"] = sha256(data)
        return self.request("PUT", "/files/" + name, data, **headers)

    def offset(self, name, data):
        return self.request("PUT", "/files/" + name, b"", X_SHA256=sha256(data),
                            Content_Range=f"bytes */{len(data)}")

    def go_on(self, name, data, offset):
        return self.request("PUT", "/files/" + name, data[offset:], X_SHA256=sha256(data),
                            Content_Range=f"bytes {offset}-{len(data) - 1}/{len(data)}")

    def get(self, name):
        return self.request("GET", "/files/" + name)

    def names(self):
        return {f["name"]: f["size"] for f in self.request("GET", "/files").json["files"]}

    def flash(self):
        """All names on the flash, hidden ones too."""
        return self.ask("[n for n in os.listdir('/')]")


def exchange(s, data):
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it answered before it had read all
    return receive(s)


def receive(s):
    got = b""
    try:
        while True:
            data = s.recv(65536)
            if not data:
                break
            got += data
            reply = whole(got)
            if reply:
                return reply
    except ConnectionResetError:
        pass
    return Reply(got) if b"\r\n\r\n" in got else None


def whole(got):
    """The answer, if all of it is there."""
    if b"\r\n\r\n" not in got:
        return None
    reply = Reply(got)
    if reply.status == 100:
        return whole(got.partition(b"\r\n\r\n")[2])
    return reply if reply.whole else None


def compiled(folder):
    """The modules as .mpy in a folder, for any board: they have no native code. Their paths."""
    out = [pathlib.Path(folder) / name.replace(".py", ".mpy") for name in MODULES]
    for name, path in zip(MODULES, out):
        subprocess.check_call([MPY_CROSS, "-O2", "-s", name, "-o", path, PICO / name])
    return out


@functools.cache
def shipped():
    """The modules as .mpy, in a folder that goes with this process."""
    folder = tempfile.mkdtemp(prefix="pico-")
    atexit.register(shutil.rmtree, folder)
    return compiled(folder)


def form(*parts, boundary="xYzBoundary"):
    """A multipart body of (field, filename or None, data), and its Content-Type."""
    body = b""
    for field, filename, data in parts:
        name = f'; filename="{filename}"' if filename is not None else ""
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{name}\r\n'
                 "\r\n").encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
