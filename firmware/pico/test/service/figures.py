"""Measures the upload service as .mpy: memory above the loaded modules, speed. Prints key=value.

Objects of the unix port are of 64 bits, so a Pico needs less than this.
"""

import statistics
import tempfile
import time

from kit import PASSWORD, USER, Board, compiled, form, noise, sha256

BLOCKS = 700  # 2.8 MB: room for 1 MB twice
PAIRS = 7
LIMIT_KIB = 24
MAIN = """
gc.collect(); before = gc.mem_alloc()
import asyncio
from manager_wifi import WiFiManager
from service_ota import OTAUpdateService
gc.collect(); resident = gc.mem_alloc() - before
{measure}
async def main():
    wifi = WiFiManager("virtual", "password", "pico")
    ota = OTAUpdateService(wifi, {user!r}, {password!r}, port={port})
    await ota.start()
    while True:
        await asyncio.sleep(1)
asyncio.run(main())
"""


def started(modules, measure):
    board = Board(blocks=BLOCKS, modules=modules)
    (board.root / "main.py").write_text(MAIN.format(
        measure="board.measure()" if measure else "", user=USER, password=PASSWORD,
        port=board.port))
    return board.start()


def heap(modules, size):
    """KiB at the peak, of all that a browser does and an upload both ways."""
    board = started(modules, True)
    try:
        data = noise(size)
        for path in ("/", "/status", "/files"):
            assert board.request("GET", path).status == 200
        assert board.put("file.bin", data).json["sha256"] == sha256(data)
        body, kind = form(("file", "file.bin", data))
        assert board.request("POST", "/upload", body, Content_Type=kind).status == 200
        assert board.get("file.bin").body == data
        return board.ask("board.peak") / 1024
    finally:
        board.destroy()


def main():
    with tempfile.TemporaryDirectory() as folder:
        modules = compiled(folder)
        for name, size in (("10k", 10 << 10), ("100k", 100 << 10), ("1m", 1 << 20)):
            peak = heap(modules, size)
            print(f"pico.upload.heap.{name}.kib={peak:.1f}", flush=True)
            assert peak <= LIMIT_KIB, "too much memory"
        board = started(modules, False)
        try:
            print(f"pico.upload.resident.kib={board.ask('resident') / 1024:.1f}")
            data = noise(256 << 10)
            board.put("source.bin", data)
            ratios = []
            for i in range(PAIRS):
                copy = board.ask("board.copy('/source.bin', '/copy.bin')") / 1e6
                begin = time.monotonic()
                assert board.put("copy.bin", data).status == 200
                ratios.append(copy / (time.monotonic() - begin))
            print(f"pico.upload.vs_copy={statistics.median(ratios):.2f}")
        finally:
            board.destroy()


if __name__ == "__main__":
    main()
