"""Every vector of the device protocol that is for devices: agent_vectors.py FOLDER.

The folder has what agent_lines.py made of firmware/vectors.
"""

import gc
import json
import os
import sys
from binascii import a2b_base64, unhexlify

import flota_cable
import flota_statement
import flota_wire

folder = sys.argv[1]
failed = 0


def run(generator):
    while True:
        try:
            next(generator)
        except StopIteration as e:
            return e.value


def grammar():
    for text in (b"{}", b" [ ]", b'{"a":[1,-0.5e3,{"b\\"":null}],"c\\\\":""}', b"0", b'"x"'):
        same(flota_statement.loads(text), json.loads(text))
    for text in (
        b"",
        b"{",
        b"}",
        b'{"a":1',
        b'{"a":{"b":1}',
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b'{"a" 1}',
        b'{"a":}',
        b"{1:2}",
        b"[1}",
        b"01",
        b"1.",
        b"-",
        b"+1",
        b"tru",
        b"{} {}",
        b'"a',
        b'"a\\"',
    ):
        try:
            flota_statement.loads(text)
        except ValueError:
            continue
        assert False, text
    print("ok grammar")


def cases(name, check):
    global failed
    count = 0
    with open("%s/%s.lines" % (folder, name)) as f:
        while True:
            gc.collect()
            line = f.readline()
            if not line:
                break
            case = json.loads(line)
            line = None
            count += 1
            try:
                check(case)
            except AssertionError as e:
                failed += 1
                print("FAIL %s: %s: %s" % (name, case["name"], e))
    assert count > 10, name
    print("ok %s: %d cases" % (name, count))


def same(got, want):
    assert got == want, "%s, not %s" % (got, want)


def derive(case):
    if "key" not in case:
        public = flota_statement.base64(case.get("public", ""))
        right = bool(public and flota_statement.flota_p256.point(public))
        same(right, case["valid"])
        if right:
            same(flota_wire.key_name(public), case["kid"])
        return
    same(flota_wire.valid_key(case["key"]), case["valid"])
    if case["valid"]:
        k, key_id = flota_wire.derive(case["key"])
        same((flota_wire.hex_of(k), key_id), (case["k"], case["key_id"]))


def request(case):
    r = case["request"]
    mac = flota_wire.request_mac(
        unhexlify(case["k"]),
        r["method"],
        r["path"],
        r["nonce"],
        r["time"],
        r["running"],
        r["etag"],
        r["body"].encode(),
    )
    if case["verdict"] == "mac":
        assert mac != case["mac"]
    elif case["verdict"] != "nonce":
        same(mac, case["mac"])


def answer(case):
    same(
        flota_wire.genuine(
            unhexlify(case["k"]),
            case["nonce"],
            case["status"],
            case["poll"],
            case["etag"],
            case["body"].encode(),
            case["mac"],
        ),
        case["checkin"],
    )


def statement(case):
    device = case["device"]
    device["keys"] = [a2b_base64(k) for k in device["keys"]]
    for name in ("slot", "filesystem", "files"):
        device[name] = device.get(name, -1)
    device["groups"] = device.get("groups") or []
    s = flota_statement.Statement()
    offer = {"statement": case["statement"], "link": "/d/v1/image/token"}
    case.pop("text", None)
    try:
        run(s.check(flota_statement.parse_offer(json.dumps(offer).encode()), device))
        reason = ""
    except flota_statement.Wrong as e:
        reason = e.args[0]
    same(reason, case["reason"])
    if reason:
        decided = s.deployment if reason != "signature" else 0
        same(decided, case["decided"])
        return
    same(s.deployment, case["accepted"])
    same(s.security_version or device["security_version"], case["security_version"])
    trusted = [flota_wire.hex_of(k) for k in s.keys or device["keys"]]
    same(sorted(trusted), sorted(flota_wire.hex_of(a2b_base64(k)) for k in case["keys"]))


def index(case):
    with open(folder + "/index", "wb") as f:
        f.write(case["text"].encode())
    found = flota_statement.Index(folder + "/index")
    try:
        run(found.load([p.get("path") for p in case["parts"] or () if p["kind"] == "file"]))
        same(found.valid, case["files"] is not None)
        for i, want in enumerate(case["files"] or ()):
            same(found.line(i), (want["sha256"], want["size"], want["path"]))
            same(found.number(want["path"]), i)
            same(found.find(want["sha256"])[0], want["sha256"])
        assert not found.has("nobody's.py") and not found.find("0" * 64)
    finally:
        found.close()


class Agent:
    def hello(self):
        return (("provisioned", False),)

    def status(self):
        return (("server", "none"),)

    def changed(self):
        pass


cable = flota_cable.Cable(Agent())


def provision(case):
    said = None
    for c in case["line"].encode() + b"\r\n":
        said = cable.feed(c) or said
    said = json.loads(said)
    same((said["flota"], said.get("field", "")), (case["answer"], case["field"]))
    if said["flota"] == "provisioned":
        given = json.loads(case["line"])
        kept = flota_cable.load()
        for name in flota_cable.NEEDED:
            same(kept[name], given[name])
        same(kept["wifi"], given.get("wifi", []))
    for secret in ("fk_", "password", "CERTIFICATE"):
        assert secret not in json.dumps(said).replace("a password", ""), secret


def link(case):
    assert flota_statement.valid_link(case["path"]) or case["status"] in (400, 403, 404)


flota_cable.FILE = folder + "/flota.json"
try:
    os.mkdir("/flota")
except OSError:
    pass
grammar()
for name, check in (
    ("derive", derive),
    ("request", request),
    ("answer", answer),
    ("statement", statement),
    ("index", index),
    ("provision", provision),
    ("link", link),
):
    cases(name, check)
sys.exit(1 if failed else 0)
