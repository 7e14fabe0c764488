"""Writes the vectors as seeds of the fuzz targets: seeds.py VECTORS OUT"""
import base64
import json
import pathlib
import sys

vectors, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def cases(name):
    return json.loads((vectors / name).read_text())["cases"]


def write(target, texts):
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(texts):
        (folder / f"{i:04}").write_bytes(text)


def answer(c):
    head = f"HTTP/1.1 {c['status']} X\r\nX-Flota-Mac: {c['mac']}\r\nX-Flota-Poll: {c['poll']}\r\n"
    head += f"ETag: {c['etag']}\r\nContent-Length: {len(c['body'])}\r\n\r\n"
    return (head + c["body"]).encode()


def image(length, more=""):
    return f"HTTP/1.1 {206 if more else 200} X\r\n{more}Content-Length: {length}\r\n\r\n ".encode()


statements = cases("statement.json")
write("statement", [base64.b64decode(c["statement"]["payload"]) for c in statements]
      + [json.dumps({"statement": c["statement"], "link": "/d/v1/image/t"}).encode()
         for c in statements[:20]])
answers = [answer(c) for c in cases("answer.json")] + [
    image(6000),
    image(5984, "Content-Range: bytes 16-5999/6000\r\n"),
    b"HTTP/1.1 401 X\r\nX-Flota-Clock: 1800000000\r\nRetry-After: 5\r\n\r\n ",
    b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n ",
]
write("answer", answers)
write("http", answers)
write("cable", [c["line"].encode() + b"\n" for c in cases("provision.json")])
write("index", [c["text"].encode() for c in cases("index.json")])
