"""What a whole update takes of the heap above the loaded modules.

pico.heap.*.kib is the most that is in use at a time; pico.heap.*.least.kib how little of a heap
that is full otherwise is enough. Objects of the unix port are of 64 bits: a Pico needs less.
"""

import os
import subprocess
import sys
import tempfile
import time

from agent_bench import MICROPYTHON, PICO, Release, Server, agent_files, first_flash

SIZE = 3 << 20
LIMIT = 24


def image(folder, server):
    tree = folder + "/tree"
    for path, data in first_flash(server).items():
        os.makedirs(os.path.dirname(tree + path), exist_ok=True)
        with open(tree + path, "wb") as f:
            f.write(data)
    words = [MICROPYTHON, PICO + "/virtual/image.py", folder + "/flash", str(SIZE), tree]
    subprocess.run(words, check=True, timeout=60)


def update(folder, *kib):
    """Runs one update; (whether it was installed, what was printed)."""
    words = [MICROPYTHON, "-X", "heapsize=190K", PICO + "/test/agent_heap_board.py"]
    words += [folder + "/flash"]
    environment = dict(os.environ, MICROPYPATH=PICO + "/virtual:.frozen")
    with open(folder + "/out", "wb") as out:
        process = subprocess.Popen(
            words + [str(n) for n in kib], env=environment, stdout=out, stderr=out
        )
        end = time.time() + 60
        said = ""
        while process.poll() is None and time.time() < end and "MemoryError" not in said:
            time.sleep(0.02)
            said = open(folder + "/out").read()
        process.kill()
        process.wait()
    said = open(folder + "/out").read()
    return process.returncode == 64 and "MemoryError" not in said, said


def main():
    folder = tempfile.mkdtemp(prefix="flota-heap-", dir="/dev/shm")
    server = Server()
    failed = False
    for name, size in (("10k", 10 << 10), ("100k", 100 << 10), ("1m", 1 << 20)):
        files = dict(agent_files(), **{"main.py": b"print(1)\n", "big.bin": os.urandom(size)})
        server.wanted = Release(1, files)
        image(folder, server)
        done, said = update(folder)
        peaks = [int(s[5:]) for s in said.splitlines() if s.startswith("peak=")]
        peak = max(peaks + [0]) / 1024
        print("pico.heap.%s.kib=%.1f" % (name, peak), flush=True)
        if not done or not 4 < peak <= LIMIT:
            failed = True
            print("FAIL heap: an update of %s\n%s" % (name, said[-2000:]))
        resident = [int(s[9:]) for s in said.splitlines() if s.startswith("resident=")][0]
        least = 0
        for kib in (40, 32, 28, 24, 20):
            image(folder, server)
            del server.reports[:]
            done, said = update(folder, kib)
            if not done or "applied" not in server.states(1):
                break
            least = kib
        print("pico.heap.%s.least.kib=%d" % (name, least), flush=True)
        if not least:
            failed = True
            print("FAIL heap: 40 KiB are not enough\n%s" % said[-2000:])
    print("pico.resident.kib=%.1f" % (resident / 1024))
    size = sum(len(data) for path, data in agent_files().items())
    print("pico.agent.mpy.bytes=%d" % size)
    subprocess.run(["rm", "-rf", folder])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
