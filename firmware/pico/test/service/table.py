"""The upload service against good and hostile clients, over real sockets."""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kit import (
    MICROPYTHON, PASSWORD, PATIENCE, PICO, USER, Board, compiled, exchange, form, noise, receive,
    sha256, shipped)

FULL = os.environ.get("SERVICE_TESTS") == "full"
OLD = b"# the old one\n" * 50


class Case(unittest.TestCase):
    """One board for a class: what a test leaves behind is part of the test of the next."""

    files = {"old.py": OLD}
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.board = Board(cls.files, **cls.options).start()
        cls.request = staticmethod(cls.board.request)
        cls.head = staticmethod(cls.board.head)

    @classmethod
    def tearDownClass(cls):
        cls.board.destroy()

    def refused(self, reply, status, code):
        self.assertIsNotNone(reply)
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertTrue(reply.json["detail"].endswith((".", "?")), reply)

    def holds(self, name, data):
        reply = self.board.get(name)
        self.assertEqual((reply.status, sha256(reply.body)), (200, sha256(data)))

    def clean(self):
        """No remains of an upload."""
        self.assertEqual([n for n in self.board.flash() if n.startswith(".ota-")], [])


class Uploads(Case):
    def test_sizes(self):
        for size in (0, 1, 4095, 4096, 4097, 65536, 100_000):
            data = noise(size)
            reply = self.board.put("lib/a b.bin".replace(" ", "%20"), data)
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual(reply.json, {"name": "lib/a b.bin", "size": size,
                                          "sha256": sha256(data)})
            self.holds("lib/a%20b.bin", data)
        self.clean()

    def test_without_digest(self):
        data = noise(5000)
        self.assertEqual(self.board.put("plain.bin", data, digest=False).json["sha256"],
                         sha256(data))
        self.holds("plain.bin", data)

    def test_wrong_digest_changes_nothing(self):
        reply = self.request("PUT", "/files/old.py", noise(3000), X_SHA256="0" * 64)
        self.refused(reply, 422, "digest")
        for wrong in ("A" * 64, "0" * 63, "../" * 21 + "x"):
            self.refused(self.request("PUT", "/files/old.py", b"x", X_SHA256=wrong), 400, "digest")
        self.holds("old.py", OLD)
        self.clean()

    def test_form_as_the_seed_sends_it(self):
        data = noise(7000)
        path = self.board.folder / "data.bin"
        path.write_bytes(data)
        for more in ((), ("-F", "filename=lib/named.bin")):
            out = subprocess.run(
                ["curl", "-sS", "--fail-with-body", "-u", ":".join(self.board.auth), "-F",
                 f"file=@{path}",
                 *more, f"http://127.0.0.1:{self.board.port}/upload"],
                check=True, capture_output=True, text=True, timeout=PATIENCE)
            self.assertIn(sha256(data), out.stdout)
        self.holds("data.bin", data)
        self.holds("lib/named.bin", data)

    def upload(self, *parts, boundary="xYzBoundary", **headers):
        body, kind = form(*parts, boundary=boundary)
        return self.request("POST", "/upload", body, Content_Type=kind, **headers)

    def test_form_orders(self):
        a, b = noise(5000, 2), noise(9000, 3)
        orders = [
            ([("file", "f1", a), ("file", "f2", b)], ["f1", "f2"]),
            ([("filename", None, b"f3"), ("file", "x", a), ("filename", None, b"f4"), ("file", "x",
                                                                                       b)],
             ["f3", "f4"]),
            ([("file", "x", a), ("filename", None, b"f5"), ("file", "x", b), ("filename", None,
                                                                              b"f6")],
             ["f5", "f6"]),
            ([("note", None, b"hello"), ("sha256", None, sha256(a).encode()), ("file", "f7", a),
              ("file", "f8", b), ("sha256", None, sha256(b).encode())], ["f7", "f8"]),
        ]
        for parts, names in orders:
            reply = self.upload(*parts)
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual([f["name"] for f in reply.json["files"]], names)
            for name, data in zip(names, (a, b)):
                self.holds(name, data)

    def test_form_contents_like_boundaries(self):
        mark = b"\r\n--xYzBoundary"
        for data in (mark[:-1] + b"!", b"\r\n" * 3000, b"\r\n--" * 2048, mark[:-1] * 500,
                     b"-" * 4093, b""):
            for pad in (0, 1, 4000, 4090, 8185):
                data = b"a" * pad + data
                self.assertEqual(self.upload(("file", "odd.bin", data)).status, 200)
                self.holds("odd.bin", data)

    def test_bad_forms_change_nothing(self):
        good, kind = form(("file", "old.py", noise(5000)))
        bad = [
            (good[:-4], kind, 400, "form"),
            (good[:-9], kind, 400, "form"),
            (good[:2000], kind, 400, "form"),
            (b"", kind, 400, "form"),
            (good.replace(b"--xYz", b"--abc"), kind, 400, "form"),
            (good.replace(b"form-data", b"other"), kind, 400, "form"),
            (b"--xYzBoundary\r\n" + b"X: y\r\n" * 1000, kind, 431, "form"),
            (good, "multipart/form-data", 415, "form"),
            (good, "multipart/form-data; boundary=" + "x" * 71, 415, "form"),
            (good, "text/plain", 415, "form"),
            (good.replace(b'"old.py"', b'""'), kind, 400, "name"),
            (form(("note", None, b"nothing"))[0], kind, 400, "no_file"),
            (form(("file", "old.py", b"x"), ("sha256", None, b"0" * 64))[0], kind, 422, "digest"),
            (form(("file", "old.py", b"x"), ("filename", None, b"../x"))[0], kind, 400, "name"),
            (form(("filename", None, b"x" * 500), ("file", "old.py", b"x"))[0], kind, 400, "form"),
            (form(*[("file", f"many/{i}", b"") for i in range(33)])[0], kind, 413, "form"),
        ] + 8 * [
            # Its answer is long, and memory in pieces after an import from source.
            (form(*[("file", f"many/{i:0100}", b"") for i in range(33)])[0], kind, 413, "form"),
        ]
        for body, kind, status, code in bad:
            reply = self.request("POST", "/upload", body, Content_Type=kind)
            with self.subTest(code=code, body=body[:60]):
                self.refused(reply, status, code)
        self.holds("old.py", OLD)
        self.clean()

    def test_the_files_before_a_fault_are_told(self):
        reply = self.upload(("file", "first.py", b"1"), ("file", "../second.py", b"2"))
        self.refused(reply, 400, "name")
        self.assertEqual([f["name"] for f in reply.json["files"]], ["first.py"])


class Cuts(Case):
    def cut(self, data, reset=False):
        s = self.board.connect()
        s.sendall(data)
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    def await_idle(self):
        self.request("GET", "/status")  # so those before it were accepted
        limit = time.monotonic() + PATIENCE
        while self.board.ask("len(ota._open)"):
            self.assertLess(time.monotonic(), limit)

    def test_cut_and_reset(self):
        data = noise(30_000)
        body, kind = form(("file", "old.py", data))
        for reset in (False, True):
            for sent in (0, 1, 5000, 29_999):
                self.cut(self.head("PUT", "/files/old.py", len(data)) + data[:sent], reset)
                self.cut(self.head("POST", "/upload", len(body), Content_Type=kind) + body[:sent],
                         reset)
                self.await_idle()
                self.holds("old.py", OLD)
                self.clean()
            for part in (b"", b"G", b"GET / HTTP/1.1\r\nHos"):
                self.cut(part, reset)
            self.await_idle()
        # Nothing spins: it has next to nothing to do for a second.
        before = self.board.seconds()
        time.sleep(1)
        self.assertLess(self.board.seconds() - before, 0.5)

    def test_resume(self):
        data = noise(30_000, 5)
        digest = sha256(data)
        for reset, sent in ((False, 5000), (True, 20_000), (False, 29_999)):
            offset = self.board.offset("new.bin", data).json["offset"]
            self.cut(self.head(
                "PUT", "/files/new.bin", len(data) - offset, X_SHA256=digest,
                Content_Range=f"bytes {offset}-29999/30000") + data[offset:sent], reset)
            self.await_idle()
        offset = self.board.offset("new.bin", data).json["offset"]
        self.assertGreater(offset, 0)
        reply = self.board.go_on("new.bin", data, 1)
        self.refused(reply, 409, "offset")
        self.assertEqual(reply.json["offset"], offset)
        self.assertEqual(self.board.get("new.bin").status, 404)
        self.assertEqual(self.board.go_on("new.bin", data, offset).json["sha256"], digest)
        self.holds("new.bin", data)
        self.clean()

    def test_a_client_that_reads_slowly(self):
        data = noise(300_000, 9)
        self.assertEqual(self.board.put("long.bin", data).status, 200)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(PATIENCE)
            s.connect(("127.0.0.1", self.board.port))
            s.sendall(self.head("GET", "/files/long.bin"))
            got = b""
            while len(got) < 300_000:
                # While it does not read, others are served.
                if len(got) < 20_000:
                    self.assertEqual(self.request("GET", "/status").status, 200)
                part = s.recv(1000)
                self.assertTrue(part)
                got += part
            while len(got) - got.index(b"\r\n\r\n") - 4 < len(data):
                got += s.recv(65536)
        self.assertEqual(got.partition(b"\r\n\r\n")[2], data)
        self.request("DELETE", "/files/long.bin")

    def test_a_file_that_goes_while_it_is_read(self):
        """What is read gives its blocks back at once: the reader gets no others for them."""
        old, new = noise(300_000, 13), noise(9000, 14)
        body, kind = form(("file", "read.bin", new))
        ways = (
            ("PUT", "/files/read.bin", new, {}),
            ("POST", "/upload", body, {"Content_Type": kind}),
            ("DELETE", "/files/read.bin", None, {}),
            ("POST", "/rename", {"from": "read.bin", "to": "moved.bin"}, {}),
        )
        # A client that reads slowly, however much the host's sockets hold.
        self.board.do("import service_ota; send = service_ota.Connection.send; held = False")
        self.board.do(
            "async def hold(c, data):\\n"
            " while held and isinstance(data, memoryview): await asyncio.sleep_ms(5)\\n"
            " await send(c, data)\\n"
            "service_ota.Connection.send = hold".join(("exec('", "')")))
        for method, path, data, more in ways:
            with self.subTest(path=path, method=method), self.board.connect() as s:
                self.assertEqual(self.board.put("read.bin", old).status, 200)
                self.board.do("held = True")
                s.sendall(self.head("GET", "/files/read.bin"))
                got = s.recv(1000)
                self.assertEqual(self.request(method, path, data, **more).status, 200)
                self.request("DELETE", "/files/moved.bin")
                # All that is free is written to.
                rest = noise(self.request("GET", "/status").json["free"] * 99 // 100, 15)
                self.assertEqual(self.board.put("rest.bin", rest).status, 200)
                self.board.do("held = False")
                while part := s.recv(65536):
                    got += part
                self.request("DELETE", "/files/rest.bin")
                body = got.partition(b"\r\n\r\n")[2]
                self.assertTrue(old.startswith(body), "other bytes than the file's")
                self.assertLess(len(body), len(old))
        self.board.do("service_ota.Connection.send = send")

    def test_pieces(self):
        data = noise(20_000, 6)
        for at in range(0, 20_000, 7000):
            piece = data[at:at + 7000]
            reply = self.request(
                "PUT", "/files/pieces.bin", piece, X_SHA256=sha256(data),
                Content_Range=f"bytes {at}-{at + len(piece) - 1}/20000")
            if at + 7000 < 20_000:
                self.assertEqual((reply.status, reply.json), (202, {"offset": at + 7000}))
        self.assertEqual(reply.status, 200, reply)
        self.holds("pieces.bin", data)

    def test_what_is_left_of_a_cut_is_not_trusted(self):
        data, digest = noise(10_000, 7), sha256(noise(10_000, 7))
        self.cut(self.head("PUT", "/files/old.py", 10_000, X_SHA256=digest) + data[:8192])
        self.await_idle()
        part = [n for n in self.board.flash() if n.startswith(".ota-")][0]
        self.board.do(f"f = open('/{part}', 'r+b'); f.write(b'spoilt'); f.close()")
        reply = self.board.go_on("old.py", data, self.board.offset("old.py", data).json["offset"])
        self.refused(reply, 422, "digest")
        self.holds("old.py", OLD)
        self.assertEqual(self.board.put("old.py", data).status, 200)
        self.assertEqual(self.board.put("old.py", OLD).status, 200)
        self.clean()

    def test_few_cut_uploads_are_kept(self):
        for i in range(6):
            data = noise(9000, i)
            self.cut(self.head("PUT", f"/files/{i}", 9000, X_SHA256=sha256(data)) + data[:5000])
            self.await_idle()
        parts = [n for n in self.board.flash() if n.startswith(".ota-")]
        self.assertLessEqual(len(parts), 3)
        # and they give way to what needs their room.
        free = self.request("GET", "/status").json["free"]
        data = noise(free + 4096)
        self.assertEqual(self.board.put("big", data).status, 200)
        self.assertEqual(self.request("DELETE", "/files/big").status, 200)

    def test_bad_ranges(self):
        for value in ("bytes 0-1/9", "bytes 5-14/14", "bytes x-9/10", "bytes 0-9/x", "bytes 0-9",
                      "items 0-9/10",
                      "bytes 0-9/9", "bytes -0-9/10", "bytes 0-9/99999999999999999999"):
            reply = self.request(
                "PUT", "/files/x", b"0123456789", X_SHA256="0" * 64, Content_Range=value)
            with self.subTest(value):
                self.refused(reply, 400, "content-range")
        reply = self.request("PUT", "/files/x", b"0123456789", Content_Range="bytes 0-9/10")
        self.refused(reply, 400, "digest")


class Flash(Case):
    options = {"blocks": 64}

    def test_full_before_the_first_byte(self):
        free = self.request("GET", "/status").json["free"]
        for path in ("/files/old.py", "/upload"):
            method = "PUT" if path[1] == "f" else "POST"
            kind = "multipart/form-data; boundary=x"
            with self.board.connect() as s:
                s.sendall(self.head(method, path, free + 1, Expect="100-continue",
                                    Content_Type=kind))
                self.refused(receive(s), 507, "no_space")
            reply = self.request(method, path, b"x" * (free + 1), Content_Type=kind)
            self.refused(reply, 507, "no_space")
        reply = self.request("PUT", "/files/old.py", b"", X_SHA256="0" * 64,
                             Content_Range=f"bytes */{free + 1}")
        self.refused(reply, 507, "no_space")
        self.holds("old.py", OLD)
        self.clean()
        # What just fits, fits.
        data = noise(free - free // 400)
        reply = self.request(
            "PUT", "/files/fits", data, X_SHA256=sha256(data), Expect="100-continue")
        self.assertEqual(reply.status, 200, reply)
        self.holds("fits", data)
        self.request("DELETE", "/files/fits")

    def test_full_on_the_way(self):
        self.board.do("import service_ota; room = ota._room; ota._room = lambda *_: None")
        free = self.request("GET", "/status").json["free"]
        data = noise(free + 50_000)
        self.refused(self.board.put("old.py", data), 507, "no_space")
        body, kind = form(("file", "old.py", data))
        self.refused(self.request("POST", "/upload", body, Content_Type=kind), 507, "no_space")
        body, kind = form(("file", "first.py", b"1"), ("file", "old.py", data))
        reply = self.request("POST", "/upload", body, Content_Type=kind)
        self.refused(reply, 507, "no_space")
        self.assertEqual([f["name"] for f in reply.json["files"]], ["first.py"])
        self.board.do("ota._room = room")
        self.holds("old.py", OLD)
        self.clean()

    def test_short_writes(self):
        self.board.do(
            "class Short:\\n"
            " def __init__(self, f, n): self.f = f; self.n = n\\n"
            " def write(self, d): return self.f.write(d[:self.n]) if self.n else self.n\\n"
            " def close(self): self.f.close()\\n"
            " def flush(self): self.f.flush()\\n".join(("exec('", "')")))
        data = noise(20_000, 8)
        for n, status in ((100, 200), (1, 200), (0, 507), (None, 507)):
            self.board.do("import builtins; service_ota.open = lambda p, m='r': "
                          f"Short(builtins.open(p, m), {n}) if m == 'ab' else builtins.open(p, m)")
            reply = self.board.put("short.bin", data if n != 1 else data[:3000])
            self.assertEqual(reply.status, status, reply)
        self.board.do("del service_ota.open")
        self.holds("short.bin", data[:3000])
        self.clean()

    def test_write_that_lies(self):
        self.board.do(
            "class Liar:\\n"
            " def __init__(self, f): self.f = f\\n"
            " def write(self, d):\\n"
            "  for i in range(0, len(d), 50): self.f.write(bytes(min(50, len(d) - i)))\\n"
            "  return len(d)\\n"
            " def close(self): self.f.close()\\n"
            " def flush(self): self.f.flush()\\n".join(("exec('", "')")))
        self.board.do("service_ota.open = lambda p, m='r': "
                      "Liar(builtins.open(p, m)) if m == 'ab' else builtins.open(p, m)")
        reply = self.board.put("old.py", noise(5000))
        self.refused(reply, 500, "storage")
        self.board.do("del service_ota.open")
        self.holds("old.py", OLD)
        self.clean()


class Worn(unittest.TestCase):
    def test_worn_blocks(self):
        """Where blocks do not keep what is written, the answer is true all the same."""
        board = Board({"old.py": OLD}, blocks=64)
        try:
            board.start()
            board.kill()
            for worn in (range(40, 50), range(30, 64), range(24, 64)):
                board.start("worn=" + ",".join(map(str, worn)))
                data = noise(20_000, worn.start)
                reply = board.put("old.py", data)
                now = board.get("old.py").body
                if reply.status == 200:
                    self.assertEqual(now, data)
                else:
                    self.assertIn(reply.status, (500, 507))
                    self.assertNotEqual(now, data)
                board.put("old.py", OLD)
                board.kill()
        finally:
            board.destroy()


class Names(Case):
    hostile = [
        ("", 404, "not_found"), ("..", 400, "name"), ("../x", 400, "name"), ("a/../x", 400,
                                                                             "name"),
        ("%2e%2e/x", 400, "name"), ("%2e%2e%2fx", 400, "name"), ("/x", 400, "name"), ("a//b", 400,
                                                                                      "name"),
        ("a/", 400, "name"), ("./x", 400, "name"), (".", 400, "name"), ("x%5cy", 400, "name"),
        ("C:x", 400, "name"), ("a%00b", 400, "name"), ("a%0ab", 400, "name"), ("a%7fb", 400,
                                                                               "name"),
        ("%ff%fe", 400, "name"), ("%zz", 400, "name"), ("%e", 400, "name"), ("x" * 129, 400,
                                                                             "name"),
        ("a/b/c/d/e", 400, "name"), (".hidden", 403, "hidden"), (".ota", 403, "hidden"),
        ("a/.b", 403, "hidden"), ("...", 403, "hidden"), ("%2eota", 403, "hidden"),
        ("service_ota.py", 403, "own_code"), ("service_ota.mpy", 403, "own_code"),
        ("SERVICE_OTA.PY", 403, "own_code"), ("lib/service_ota.py", 403, "own_code"),
        ("service_ota/__init__.py", 403, "own_code"), ("manager_wifi.py", 403, "own_code"),
        ("service_page.html", 403, "own_code"),
    ]

    def test_hostile(self):
        before = self.board.ask("[(n, os.stat(n)[6]) for n in os.listdir('/')]")
        for name, status, code in self.hostile:
            for method, body in (("PUT", b"x"), ("GET", None), ("DELETE", None)):
                with self.subTest(method=method, name=name):
                    if method == "GET" and code == "own_code":
                        continue  # whoever has the password may read it
                    self.refused(self.request(method, "/files/" + name, body), status, code)
        for name, status, code in self.hostile:
            if "%" in name or not name:
                continue
            body, kind = form(("file", name, b"x"))
            reply = self.request("POST", "/upload", body, Content_Type=kind)
            with self.subTest(form=name):
                self.refused(reply, status, code)
            body, kind = form(("file", "fine", b"x"), ("filename", None, name.encode()))
            reply = self.request("POST", "/upload", body, Content_Type=kind)
            with self.subTest(filename=name):
                self.refused(reply, status, code)
            for members in ({"from": "old.py", "to": name}, {"from": name, "to": "stolen"}):
                with self.subTest(members=members):
                    self.refused(self.request("POST", "/rename", members), status, code)
        after = self.board.ask("[(n, os.stat(n)[6]) for n in os.listdir('/')]")
        self.assertEqual(before, after)

    def test_good(self):
        for name in ("a", "a.b.c", "ä ö.py", "日本.txt", "a/b/c/d", "x" * 128, "a;b\"c'd&e.txt"):
            from urllib.parse import quote

            data = name.encode()
            self.assertEqual(self.board.put(quote(name), data).status, 200)
            self.assertIn(name, self.board.names())
            self.holds(quote(name), data)
            self.assertEqual(self.request("DELETE", "/files/" + quote(name)).status, 200)
            self.assertNotIn(name, self.board.names())

    def test_folders(self):
        self.assertEqual(self.board.put("d/e/f", b"1").status, 200)
        self.assertEqual({k for k in self.board.names() if k[0] == "d"}, {"d/", "d/e/", "d/e/f"})
        self.refused(self.board.put("d/e", b"1"), 409, "taken")
        self.refused(self.board.put("d/e/f/g", b"1"), 409, "taken")
        self.refused(self.board.get("d/e"), 404, "not_found")
        self.refused(self.board.get("d/e/f/g"), 404, "not_found")
        self.refused(self.request("DELETE", "/files/d/e"), 409, "not_empty")
        for name in ("d/e/f", "d/e", "d"):
            self.assertEqual(self.request("DELETE", "/files/" + name).status, 200)
        self.refused(self.request("DELETE", "/files/d"), 404, "not_found")

    def test_rename(self):
        self.board.put("one", b"1")
        self.board.put("two", b"2")
        self.refused(self.request("POST", "/rename", {"from": "one", "to": "two"}), 409, "taken")
        self.refused(self.request("POST", "/rename", {"from": "none", "to": "x"}), 404,
                     "not_found")
        self.refused(self.request("POST", "/rename", {"from": "one"}), 400, "name")
        reply = self.request("POST", "/rename", {"from": "one", "to": "deep/er/three"})
        self.assertEqual((reply.status, reply.json), (200, {"name": "deep/er/three"}))
        self.holds("deep/er/three", b"1")
        self.refused(self.request("POST", "/rename", {"from": "deep", "to": "x"}), 404,
                     "not_found")

    def test_the_running_code_is_still_there(self):
        self.assertEqual(
            self.board.ask("os.stat('/service_ota.mpy')[6]"),
            shipped()[0].stat().st_size)


class Requests(Case):
    def test_lengths(self):
        for value in ("-1", "x", "1e3", "0x10", "99999999999999", "", "1 2", "+5"):
            reply = self.board.raw(self.head("PUT", "/files/old.py", value) + b"hello")
            with self.subTest(value):
                self.refused(reply, 400, "content-length")
        twice = self.head("PUT", "/files/old.py", 5)[:-2] + b"Content-Length: 6\r\n\r\nhello!"
        self.refused(self.board.raw(twice), 400, "request")
        self.refused(self.board.raw(self.head("PUT", "/files/old.py")), 411, "length")
        self.refused(self.board.raw(self.head("POST", "/upload")), 411, "length")
        for length in (None, 5):
            reply = self.board.raw(self.head(
                "PUT", "/files/old.py", length,
                Transfer_Encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n")
            self.refused(reply, 411, "length")
        self.holds("old.py", OLD)

    def test_too_long_a_length_is_no_success(self):
        self.board.do("import service_ota; patience = service_ota.Connection.patience")
        # A second for what takes twenty.
        self.board.do("service_ota.Connection.patience = lambda c, ms: patience(c, ms // 20)")
        body, kind = form(("file", "old.py", b"x" * 3000))
        for head in (self.head("PUT", "/files/old.py", 4000),
                     self.head("POST", "/upload", len(body) + 9, Content_Type=kind)):
            reply = self.board.raw(head + body)
            self.assertEqual(reply.status, 408, reply)
        self.board.do("service_ota.Connection.patience = patience")
        self.holds("old.py", OLD)

    def test_pipelining(self):
        two = self.head("GET", "/status") + self.head("DELETE", "/files/old.py")
        with self.board.connect() as s:
            s.sendall(two)
            got = b""
            while data := s.recv(65536):
                got += data
                s.settimeout(PATIENCE)
                if b'"total"' in got:
                    break
            self.assertEqual(got.count(b"HTTP/1.1"), 1)
        self.holds("old.py", OLD)

    def test_heads(self):
        line = b"GET /status HTTP/1.1\r\n"
        for head in (line + b"X: " + b"y" * 5000, b"GET /" + b"x" * 100_000,
                     line + b"X: y\r\n" * 3000 + b"\r\n"):
            self.refused(self.board.raw(head), 431, "head")
        for head in (b"hello\r\n\r\n", b"GET /status\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n",
                     b"\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\r\n\r\n", line + b"no field\r\n\r\n",
                     line + b" folded: x\r\n\r\n",
                     line + b"Host : x\r\n\r\n", line + b"Host: a\r\nHost: b\r\n\r\n"):
            with self.subTest(head):
                self.refused(self.board.raw(head), 400, "request")
        self.refused(self.board.raw(line + b"\r\n"), 421, "host")

    def test_methods_and_paths(self):
        self.refused(self.request("GET", "/nothing"), 404, "not_found")
        self.refused(self.request("PUT", "/upload", b""), 405, "method")
        self.refused(self.request("POST", "/", b""), 405, "method")
        self.refused(self.request("POST", "/rename", b"[1]"), 400, "body")
        self.refused(self.request("POST", "/rename", b"no"), 400, "body")
        self.refused(self.request("POST", "/rename", b'{"from":1}'), 400, "body")
        self.refused(self.request("POST", "/rename", b" " * 600), 413, "body")

    def test_the_page(self):
        reply = self.request("GET", "/")
        self.assertEqual(reply.body, (PICO / "service_page.html").read_bytes())
        self.assertLess(len(reply.body), 16_384)
        style, _, rest = reply.body.partition(b"</style>")
        self.assertNotIn(b"url(", style)
        self.assertIsNone(re.search(rb"src=|href=[^\"']|https:|//[a-z]|import", rest))
        self.assertIn("default-src 'none'", reply.headers["content-security-policy"])
        self.board.put("evil.html", b"<script>1</script>")
        reply = self.board.get("evil.html")
        self.assertEqual(reply.headers["content-disposition"], "attachment")
        self.assertEqual(reply.headers["content-security-policy"], "sandbox")

    def test_other_pages_and_names(self):
        port = self.board.port
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}",
                       f"http://127.0.0.1:{port + 1}",
                       "http://127.0.0.1"):
            reply = self.request("DELETE", "/files/old.py", Origin=origin)
            self.refused(reply, 403, "origin")
        for host in ("evil.example", f"evil.example:{port}", "local.evil.com",
                     "127.0.0.1.evil.com", ""):
            reply = self.request("DELETE", "/files/old.py", Host=host, Origin=f"http://{host}")
            self.refused(reply, 421, "host")
        for host in (f"pico.local:{port}", f"PICO:{port}", f"127.0.0.1:{port}", f"[::1]:{port}",
                     "localhost"):
            reply = self.request("POST", "/rename", {"from": "x", "to": "y"}, Host=host,
                                 Origin=f"http://{host}".lower())
            self.refused(reply, 404, "not_found")
        self.holds("old.py", OLD)


class Crowd(Case):
    def test_two_uploads_are_answered_in_turn(self):
        first, second = noise(60_000, 11), noise(50_000, 12)
        with self.board.connect() as a:
            a.sendall(self.head("PUT", "/files/same.bin", len(first)) + first[:30_000])
            while not self.board.ask("ota._turn.locked()"):
                pass
            replies = []
            other = threading.Thread(
                target=lambda: replies.append(self.board.put("same.bin", second)))
            other.start()
            # Meanwhile all else is served.
            self.assertTrue(self.request("GET", "/status").json["busy"])
            self.holds("old.py", OLD)
            self.refused(self.request("POST", "/restart", b""), 409, "busy")
            self.assertEqual(replies, [])
            self.assertEqual(exchange(a, first[30_000:]).json["sha256"], sha256(first))
            other.join(PATIENCE)
            self.assertEqual(replies[0].json["sha256"], sha256(second))
        self.holds("same.bin", second)
        self.clean()

    def test_many_at_once(self):
        results = {}

        def upload(i):
            data = noise(20_000, 100 + i)
            for _ in range(200):
                reply = self.board.put(f"many/{i}", data)
                if reply.status != 503:
                    break
                time.sleep(0.05)
            results[i] = reply.status

        threads = [threading.Thread(target=upload, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(PATIENCE)
        self.assertEqual(results, {i: 200 for i in range(8)})
        for i in range(8):
            self.holds(f"many/{i}", noise(20_000, 100 + i))

    def test_slow_loris(self):
        slow = [self.board.connect() for _ in range(12)]
        begin = time.monotonic()
        for s in slow:
            try:
                s.sendall(b"GET / HTTP/1.1\r\nHost: ")
            except OSError:
                pass
        while self.request("GET", "/status").status == 503:
            self.assertLess(time.monotonic() - begin, 2)
            time.sleep(0.05)
        # and it ends them, though each sends a byte now and then.
        limit = time.monotonic() + PATIENCE
        while slow:
            self.assertLess(time.monotonic(), limit)
            for s in slow[:]:
                s.settimeout(0.1)
                try:
                    s.sendall(b"x")
                    if s.recv(1000):
                        continue
                except TimeoutError:
                    continue
                except OSError:
                    pass
                s.close()
                slow.remove(s)
        self.assertEqual(self.request("GET", "/status").status, 200)


class Passwords(Case):
    def test_none_and_wrong(self):
        reply = self.request("GET", "/", auth=False)
        self.refused(reply, 401, "credentials")
        self.assertIn("Basic realm=", reply.headers["www-authenticate"])
        good = self.head("GET", "/status").split(b"Basic ")[1].split(b"\r\n")[0].decode()
        for header in ("Basic", "Basic !!!!", "Bearer " + good, good, "Basic ////"):
            reply = self.request("GET", "/status", auth=False, Authorization=header,
                                 source="127.0.0.9")
            self.assertIn(reply.status, (401, 429))
        for method, path in (("GET", "/files"), ("PUT", "/files/old.py"), ("DELETE",
                                                                           "/files/old.py"),
                             ("POST", "/upload"), ("POST", "/restart"), ("POST", "/credentials"),
                             ("POST", "/wifi"), ("POST", "/rename"), ("GET", "/nothing")):
            reply = self.request(method, path, b"", auth=False)
            self.refused(reply, 401, "credentials")

    def test_a_hundred(self):
        answers = [self.request("GET", "/status", auth=(USER, f"guess {i}"),
                                source="127.0.0.2").status
                   for i in range(100)]
        self.assertLessEqual(answers.count(401), 8)
        self.assertEqual(answers.count(401) + answers.count(429), 100)
        # The owner is elsewhere, and is let in;
        self.assertEqual(self.request("GET", "/status", source="127.0.0.3").status, 200)
        # and is let in there, too, in the time that is told.
        reply = self.request("GET", "/status", source="127.0.0.2")
        self.refused(reply, 429, "locked_out")
        self.assertLessEqual(int(reply.headers["retry-after"]), 60)
        limit = time.monotonic() + PATIENCE
        while self.request("GET", "/status", source="127.0.0.2").status != 200:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.2)

    def test_from_many_addresses(self):
        for i in range(60):
            for _ in range(6):
                self.request("GET", "/status", auth=(USER, "x"), source=f"127.0.1.{i + 1}")
        self.assertLessEqual(self.board.ask("len(ota._credentials.failed)"), 9)
        waits = self.board.ask("[c[2] for c in ota._credentials.failed.values()]")
        self.assertLessEqual(max(waits), 60)
        # No memory is used up, and the wait is bounded: as if it were over.
        self.board.do("ota._credentials.failed.clear()")
        self.assertEqual(self.request("GET", "/status", source="127.0.2.1").status, 200)


class First(unittest.TestCase):
    def test_credentials(self):
        board = Board(password="otapico")
        check = self.assertEqual
        try:
            board.start()
            check(board.request("GET", "/").status, 200)
            check(board.request("GET", "/status").json["default_password"], True)
            body, kind = form(("file", "x", b"x"))
            for method, path, data, more in (
                    ("GET", "/files", None, {}), ("GET", "/files/main.py", None, {}),
                    ("PUT", "/files/x", b"x", {}), ("DELETE", "/files/main.py", None, {}),
                    ("POST", "/restart", b"", {}), ("POST", "/wifi", b"{}", {}),
                    ("POST", "/upload", body, {"Content_Type": kind})):
                reply = board.request(method, path, data, **more)
                check((reply.status, reply.code), (403, "default_password"))
            for user, password, code in (("a:b", "long enough", "username"), ("", "long enough",
                                                                              "username"),
                                         ("admin", "otapico", "password"), ("admin", "x" * 65,
                                                                            "password"),
                                         ("admin", "new\nline and", "password")):
                reply = board.request("POST", "/credentials", {"username": user,
                                                               "password": password})
                check((reply.status, reply.code), (400, code))
            new = ("owner", "pässword ☃")
            reply = board.request("POST", "/credentials", dict(zip(("username", "password"), new)))
            check(reply.status, 200)
            check(board.request("GET", "/status").status, 401)
            board.auth = new
            check(board.request("GET", "/files").status, 200)
            kept = board.ask("open('/.ota').read()")
            self.assertNotIn("pässword", kept)
            self.assertNotIn("owner", kept)
            self.assertNotIn(".ota", board.names())
            # The stored ones win over the constructor's, also after a power cut;
            board.kill()
            board.start()
            check(board.request("GET", "/files").status, 200)
            check(board.request("GET", "/files", auth=(USER, "otapico")).status, 401)
            # and where they cannot be read nothing is open.
            board.do("f = open('/.ota', 'w'); f.write('{'); f.close()")
            board.kill()
            board.start()
            for auth in (new, (USER, "otapico")):
                check(board.request("GET", "/status", auth=auth).status, 401)
        finally:
            board.destroy()


class Network(unittest.TestCase):
    def test_it_serves_while_there_is_wifi(self):
        board = Board({"old.py": OLD})
        try:
            board.start()
            s = board.connect()
            s.sendall(board.head("PUT", "/files/old.py", 9000) + b"x" * 5000)
            while not board.ask("ota._turn.locked()"):
                pass
            board.do("import _board; _board.radio = False")
            board.await_open(False)
            self.assertIsNone(receive(s))
            s.close()
            board.do("_board.radio = True")
            board.await_open()
            self.assertEqual(board.get("old.py").body, OLD)
            board.do("ota.stop()")
            board.await_open(False)
            board.do("asyncio.create_task(ota.start())")
            board.await_open()
            self.assertEqual(board.put("old.py", b"new").status, 200)
        finally:
            board.destroy()

    def test_it_listens_again_when_memory_was_short(self):
        board = Board()
        try:
            board.start()
            board.do("import socket, sys; Stream = asyncio.StreamReader; init = Stream.__init__")
            board.do("exec('def short(*_):\\n raise MemoryError')")
            for _ in range(3):
                board.do("Stream.__init__ = short")
                self.assertIsNone(board.raw(board.head("GET", "/status")))
                board.do("Stream.__init__ = init")
                self.assertEqual(board.request("GET", "/status").status, 200)
            # Nor is there enough to begin with,
            board.do("ota.stop()")
            board.await_open(False)
            board.do("exec('class Short:\\n def __getattr__(self, _):\\n"
                     "  sys.modules.update(socket=socket)\\n  service_ota.socket = socket\\n"
                     "  raise MemoryError')")
            board.do("import service_ota; sys.modules['socket'] = service_ota.socket = Short(); "
                     "asyncio.create_task(ota.start())")
            board.await_open()
            self.assertIs(board.ask("service_ota.socket is socket"), True)
            # and whatever ended it, start() starts it.
            board.do("ota._task.cancel()")
            board.await_open(False)
            board.do("asyncio.create_task(ota.start())")
            board.await_open()
            self.assertEqual(board.request("GET", "/status").status, 200)
        finally:
            board.destroy()

    def test_after_a_week(self):
        """Ticks of a week ago are in the future of a Pico, whose 30 bits begin anew."""
        board = Board(ssid="nowhere")

        def wait(expression):
            limit = time.monotonic() + PATIENCE
            while not board.ask(expression):
                self.assertLess(time.monotonic(), limit, expression)

        try:
            board.start(serving=False)
            board.do("wifi.ap_after_ms = 200; wifi.retry_interval_ms = 1000")
            wait("wifi.access_point()")
            # It leaves the network for the one that it was told,
            board.do("wifi.join('virtual', 'password'); board.later(7)")
            wait("wifi.get_status()['ssid'] == 'virtual' and wifi.is_connected()")
            # closes its access point,
            self.assertTrue(board.ask("wifi.access_point()"))
            board.do("board.later(7)")
            wait("not wifi.access_point()")
            # and comes back to the network that it had for that long.
            board.do("wifi._sta.disconnect()")
            wait("wifi.is_connected()")
        finally:
            board.destroy()

    def test_access_point(self):
        board = Board(ssid="")
        try:
            board.start()
            wifi = board.request("GET", "/status").json["wifi"]
            self.assertEqual([wifi[k] for k in ("access_point", "connected", "ip")],
                             ["pico", False, "192.168.4.1"])
            self.assertEqual(board.put("x", b"x").status, 200)
            for members in ({"ssid": ""}, {"ssid": "x" * 33},
                            {"ssid": "virtual", "password": "short"}):
                reply = board.request("POST", "/wifi", members)
                self.assertEqual((reply.status, reply.code), (400, "wifi"))
            for members, error in (({"ssid": "nowhere"}, "network not found"),
                                   ({"ssid": "locked", "password": "not this"}, "wrong password"),
                                   ({"ssid": "locked", "password": "password"}, "")):
                board.do("wifi.retry_interval_ms = 300")
                self.assertEqual(board.request("POST", "/wifi", members).status, 200)
                limit = time.monotonic() + PATIENCE
                while True:
                    wifi = board.request("GET", "/status").json["wifi"]
                    if wifi["connected"] if not error else wifi["error"] == error:
                        break
                    self.assertLess(time.monotonic(), limit, wifi)
            # Its page stays for a while, to tell the new address; and the network is kept.
            self.assertEqual(wifi["access_point"], "pico")
            board.kill()
            board.start()
            wifi = board.request("GET", "/status").json["wifi"]
            self.assertEqual((wifi["ssid"], wifi["access_point"]), ("locked", None))
        finally:
            board.destroy()

    def test_the_access_point_stands_in_for_a_network_that_is_gone(self):
        board = Board()
        try:
            board.start()
            self.assertIsNone(board.ask("wifi.access_point()"))
            board.do("import _board; wifi.retry_interval_ms = 200; _board.radio = False")
            board.await_open(False)
            board.do("wifi.ap_after_ms = 500")
            board.await_open()
            wifi = board.request("GET", "/status").json["wifi"]
            self.assertEqual((wifi["access_point"], wifi["connected"]), ("pico", False))
            board.do("_board.radio = True")
            limit = time.monotonic() + PATIENCE
            while not board.request("GET", "/status").json["wifi"]["connected"]:
                self.assertLess(time.monotonic(), limit)
            # A minute later it goes.
            board.do("wifi._since -= 61000")
            while board.request("GET", "/status").json["wifi"]["access_point"]:
                self.assertLess(time.monotonic(), limit)
        finally:
            board.destroy()

    def test_restart(self):
        board = Board()
        try:
            board.start()
            with board.connect() as s:
                s.sendall(board.head("POST", "/restart", 0))
                # However long the client stays.
                self.assertEqual(board.await_end(), 64)
                self.assertEqual(receive(s).status, 200)
        finally:
            board.destroy()

    def test_the_sample(self):
        """As it is, but for the port: without a network, with the known password."""
        board = Board()
        sample = (PICO / "ota_sample.py").read_text()
        port = f"(wifi_service, port={board.port})"
        self.assertIn("(wifi_service)", sample)
        (board.root / "main.py").write_text(sample.replace("(wifi_service)", port))
        try:
            board.start()
            status = board.request("GET", "/status", auth=("admin", "otapico")).json
            self.assertEqual(status["wifi"]["access_point"], "device-name")
            self.assertTrue(status["default_password"])
        finally:
            board.destroy()

    def test_a_loop_that_runs_for_ever(self):
        main = """
import uasyncio as asyncio
from manager_wifi import WiFiManager
from service_ota import OTAUpdateService
async def main():
    ota_service = OTAUpdateService(WiFiManager("virtual", "password", "pico"), port=%d)
    await ota_service.start()
    await ota_service.start()
loop = asyncio.get_event_loop()
loop.create_task(main())
loop.run_forever()
"""
        board = Board()
        (board.root / "main.py").write_text(main % board.port)
        try:
            board.start()
            self.assertEqual(board.request("GET", "/", auth=("admin", "otapico")).status, 200)
        finally:
            board.destroy()

    def test_any_wifi_service_will_do(self):
        main = """
import asyncio
from service_ota import OTAUpdateService
class Any:
    def is_connected(self):
        return True
async def main():
    global ota
    ota = OTAUpdateService(wifi_service=Any(), auth_username="admin", auth_password=%r, port=%d)
    await ota.start()
    while True:
        await asyncio.sleep(1)
asyncio.run(main())
"""
        board = Board()
        (board.root / "main.py").write_text(main % (PASSWORD, board.port))
        try:
            board.start()
            status = board.request("GET", "/status").json
            self.assertEqual((status["wifi"], status["can_join"]), ({}, False))
            self.assertEqual(board.request("POST", "/wifi", {"ssid": "x"}).status, 404)
        finally:
            board.destroy()


class Enrolled(Case):
    files = {"flota.json": b"{}", "data/log.txt": b"log", "a/main.py": b"signed"}

    def test_only_data(self):
        self.assertEqual(self.board.names(), {"log.txt": 3})
        self.assertEqual(self.request("GET", "/status").json["root"], "/data/")
        for name in ("main.py", "a/main.py", "flota.json", "boot.py"):
            self.assertEqual(self.board.get(name).status, 404)
            self.assertEqual(self.request("DELETE", "/files/" + name).status, 404)
            self.assertEqual(self.board.put(name, b"evil").status, 200)
            body, kind = form(("file", name, b"evil"))
            self.assertEqual(self.request("POST", "/upload", body, Content_Type=kind).status, 200)
        for name in ("../main.py", "%2e%2e/main.py", "/main.py", "x/../../main.py"):
            self.assertEqual(self.board.put(name, b"evil").status, 400)
            self.assertEqual(self.board.get(name).status, 400)
        for members in ({"from": "main.py", "to": "../main.py"}, {"from": "../flota.json",
                                                                  "to": "x"}):
            self.refused(self.request("POST", "/rename", members), 400, "name")
        self.assertEqual(self.board.ask("open('/a/main.py').read()"), "signed")
        self.assertEqual(self.board.ask("open('/flota.json').read()"), "{}")
        self.assertNotEqual(self.board.ask("open('/main.py').read()"), "evil")
        self.assertEqual(self.board.ask("[p for p in __import__('sys').path if 'data' in p]"), [])
        self.assertEqual(self.request(
            "POST", "/credentials", {"username": USER, "password": PASSWORD}).status, 200)
        self.assertEqual(self.board.ask("'.ota' in os.listdir('/data')"), True)
        self.assertEqual(self.board.ask("'.ota' in os.listdir('/')"), False)

    def test_it_joins_the_fleet_during_an_upload(self):
        self.board.do("os.rename('/flota.json', '/later.json')")
        with self.board.connect() as s:
            s.sendall(self.head("PUT", "/files/boot.py", 10) + b"12345")
            while not self.board.ask("ota._turn.locked()"):
                pass
            self.board.do("os.rename('/later.json', '/flota.json')")
            self.refused(exchange(s, b"67890"), 409, "enrolled")
        self.assertNotIn("boot.py", self.board.flash())


class PowerCuts(unittest.TestCase):
    def test_anywhere_in_an_upload(self):
        """The power goes at a random byte; the file is old or new, and can be sent again."""
        rounds = 60 if FULL else 8
        seed = int(os.environ.get("SERVICE_SEED") or random.randrange(10**6))
        print(f"power cuts: seed {seed}, {rounds} rounds", file=sys.stderr)
        chance = random.Random(seed)
        old = noise(12_000, 1)
        board = Board({"live.bin": old}, blocks=100)
        try:
            board.start()
            before = board.ask("flash.written")
            board.put("live.bin", noise(70_000, 2))
            span = board.ask("flash.written") - before
            self.assertGreater(span, 70_000)
            now = noise(70_000, 2)
            told = kept = 0
            for i in range(rounds):
                board.kill()
                board.start(f"cut={chance.randrange(1, span + 5000)}")
                new = noise(70_000, 100 + i)
                with board.connect() as s:
                    reply = exchange(s, board.head(
                        "PUT", "/files/live.bin", len(new), X_SHA256=sha256(new)) + new)
                board.kill()
                board.start()
                found = board.get("live.bin").body
                self.assertIn(found, (now, new), f"seed {seed}, round {i}")
                if reply:
                    self.assertEqual((reply.status, found), (200, new), f"seed {seed}, round {i}")
                    told += 1
                if found == now:
                    offset = board.offset("live.bin", new).json["offset"]
                    kept += offset > 0
                    self.assertEqual(board.go_on("live.bin", new, offset).status, 200)
                    self.assertEqual(board.get("live.bin").body, new)
                now = new
            print(f"power cuts: {told} answered before, {kept} went on from where they were",
                  file=sys.stderr)
        finally:
            board.destroy()


class Imports(unittest.TestCase):
    def test_from_source_in_190k(self):
        self.imports(PICO)

    def test_compiled_in_190k(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        compiled(folder)
        self.imports(folder)

    def imports(self, folder):
        """Each module, and all together, beside the smallest machine and network."""
        fakes = self.enterContext(tempfile.TemporaryDirectory())
        for name in ("machine", "network"):
            with open(f"{fakes}/{name}.py", "w") as f:
                f.write("")
        for names in (["service_ota"], ["manager_wifi"], ["manager_wifi", "service_ota"]):
            code = (f"import sys; sys.path[:0] = [{str(folder)!r}, {fakes!r}]\n"
                    f"import {', '.join(names)}\nprint('fine')")
            out = subprocess.run([MICROPYTHON, "-X", "heapsize=190K", "-c", code],
                                 capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(out.stdout, "fine\n", out.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
