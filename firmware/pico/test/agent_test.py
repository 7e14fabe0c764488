"""The agent on a whole virtual Pico against a server: agent_test.py quick|full [name …].

Prints `ok <name>` or `FAIL <name>` for each scenario, and the figures as key=value.
"""

import json
import os
import random
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import agent_bench as bench
from agent_bench import Pico, Release, Server, agent_files, first_flash, sha

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # MicroPython flushes every write
SCRATCH = tempfile.mkdtemp(prefix="flota-pico-", dir=MEMORY)
SLEEPS = b"import time\nwhile True: time.sleep(1)\n"
FULL = False
AGENT = agent_files()


def files(main=SLEEPS, **more):
    return dict(AGENT, **{"main.py": main}, **more)


class Rig:
    """A server and a board that was given it."""

    def __init__(self, name, main=SLEEPS, hurry=20, tls=None, **more):
        self.server = Server(tls)
        self.pico = Pico(SCRATCH + "/" + name, first_flash(self.server, main, **more), hurry)
        self.base = None

    def until(self, done, seconds=60):
        assert self.pico.run(done, seconds), "not in time"

    def state(self, deployment, state):
        self.until(lambda: state in self.server.states(deployment))

    def off(self):
        self.pico.stop()

    def slot(self):
        return self.pico.read("/flota/slot").decode().split()

    def kept(self):
        return json.loads(self.pico.read("/flota/agent"))

    def holds(self, slot, release):
        """Whether a slot has exactly the files of a release."""
        for path, data in release.files.items():
            if self.pico.read("/%s/%s" % (slot, path)) != data:
                return False
        return self.pico.read("/%s/.index" % slot) == release.index

    def report(self, deployment, state):
        found = (deployment, state)
        return [r for r in self.server.reports if (r["deployment"], r["state"]) == found][-1]

    def interrupt(self):
        """Ctrl-C, as often as somebody would press it."""
        before = len(self.pico.output)
        for _ in range(8):
            self.pico.type("\x03")
            if self.pico.run(lambda: ">>> " in self.pico.output[before:], 3):
                return
        raise AssertionError("no prompt")

    def polled(self, more=1, seconds=60):
        n = len(self.server.polls)
        self.until(lambda: len(self.server.polls) >= n + more, seconds)


def test_install_and_delta(rig):
    """What the fleet does all day: a release, then another that differs in one of twenty files."""
    many = {"lib/m%02d.py" % i: b"# %d\n" % i + os.urandom(600).hex().encode() for i in range(12)}
    rig.server.wanted = one = Release(1, files(b"print('one')\n" + SLEEPS, **many))
    rig.state(1, "confirmed")
    states = rig.server.states(1)
    states = [s for i, s in enumerate(states) if not i or s != states[i - 1]]
    assert states == ["downloading", "verified", "applied", "confirmed"], states
    fetched = sorted(n for n, _ in rig.server.requests)
    assert len(fetched) == 2 + len(many), fetched  # the index, main.py, the modules: not the agent
    last = rig.report(1, "confirmed")
    for name, value in (
        ("running", one.digest),
        ("rollback", "bootloader"),
        ("agent", "flota_agent/1.0"),
        ("version", "v1"),
        ("chip", "RP2040"),
    ):
        assert last[name] == value, last
    assert last["slot_size"] > 300000 and last["free_heap"] > 10000 and last["rssi"] < 0
    # Decided: it says so, and is left in peace.
    rig.polled(2)
    assert rig.server.polls[-1] == (one.digest, '"1"'), rig.server.polls[-1]

    changed = dict(one.files, **{"lib/m03.py": b"# changed\n" * 60})
    assert len(changed) >= 20
    del rig.server.requests[:]
    before = rig.server.sent + rig.server.received
    rig.server.wanted = two = Release(2, changed)
    rig.state(2, "confirmed")
    print("pico.delta.bytes=%d" % (rig.server.sent + rig.server.received - before))
    assert len(rig.server.requests) == 2, rig.server.requests
    rig.off()
    assert rig.slot() == ["a", "valid"] and rig.holds("a", two) and rig.holds("b", one)
    assert rig.pico.output.count("one\n") == 2


def test_kept_copied_and_renamed(rig):
    """One that either slot has, by its digest, is not fetched: not under another name either."""
    data = os.urandom(3000).hex().encode()
    rig.server.wanted = Release(1, files(**{"here.txt": data, "empty": b""}))
    rig.state(1, "confirmed")
    rig.server.wanted = Release(2, files(**{"there/it/is.txt": data, "empty": b""}))
    rig.state(2, "confirmed")
    assert [n for n, _ in rig.server.requests].count(0) == 2
    # main.py is the first flash's, the big one is copied, and nothing is the same everywhere.
    assert len(rig.server.requests) == 3, rig.server.requests
    del rig.server.requests[:]
    # Back to what the other slot holds still: nothing is fetched at all.
    rig.server.wanted = three = Release(3, files(**{"here.txt": data, "empty": b""}))
    rig.state(3, "confirmed")
    assert rig.server.requests == [], rig.server.requests
    rig.off()
    assert rig.slot() == ["b", "valid"] and rig.holds("b", three)
    # And what the slot has under another name gets the new one.
    del rig.server.requests[:]
    moved = os.urandom(3000)
    for n, more in ((4, {"one.bin": moved}), (5, {}), (6, {"lib/two.bin": moved})):
        rig.server.wanted = Release(n, files(b"print(%d)\n" % n + SLEEPS, **more))
        rig.state(n, "confirmed")
    assert len([n for n, _ in rig.server.requests if n]) == 4, rig.server.requests  # three main.py


def test_the_agent_as_source(rig):
    """A release whose agent is not compiled takes more memory, and runs."""
    rig.pico.heap = "400K"
    rig.server.wanted = Release(1, dict(agent_files(compiled=False), **{"main.py": SLEEPS}))
    rig.state(1, "confirmed")


def test_files_become_folders(rig):
    rig.server.wanted = Release(1, files(**{"x": b"a file", "y/z": b"deep"}))
    rig.state(1, "confirmed")
    rig.server.wanted = Release(2, files(b"print(2)\n" + SLEEPS))
    rig.state(2, "confirmed")
    rig.server.wanted = three = Release(3, files(**{"x/q": b"a folder", "y": b"flat"}))
    rig.state(3, "confirmed")
    rig.off()
    assert rig.holds("b", three)
    assert rig.pico.read("/b/y/z") is None


def test_a_file_in_the_way_of_a_folder(rig):
    rig.server.wanted = Release(1, files(**{"x": b"a file", "x/y": b"in it"}))
    rig.state(1, "failed")
    assert rig.report(1, "failed")["reason"] == "format"
    rig.off()
    assert rig.slot() == ["a", "valid"]


def test_resume_after_a_reset_connection(rig):
    big = os.urandom(60000)
    rig.server.cut_after = 17000
    rig.server.wanted = one = Release(1, files(**{"big.bin": big}))
    rig.state(1, "confirmed")
    ranges = [r for _, r in rig.server.requests if r]
    assert ranges == ["bytes=%d-" % n for n in (17000, 34000, 51000)], ranges
    rig.off()
    assert rig.holds("b", one)


def test_resume_after_a_loss_of_power(rig):
    big = os.urandom(200000)
    rig.server.misbehave = lambda method, path, headers: None
    rig.server.wanted = one = Release(1, files(**{"big.bin": big}))
    part = rig.server._image

    def slow(path, headers):
        status, more, body = part(path, headers)
        if len(body) > 100000:
            rig.server.cut_after = 120000
        return status, more, body

    rig.server._image = slow
    rig.until(lambda: rig.server.cut_after)
    rig.until(lambda: rig.server.sent > 130000)
    time.sleep(0.3)
    rig.off()
    rig.server.cut_after = None
    rig.server._image = part
    rig.state(1, "confirmed")
    starts = [int(r[6:-1]) for _, r in rig.server.requests if r]
    assert starts and starts[-1] >= 16384, rig.server.requests
    rig.off()
    assert rig.holds("b", one)


def test_a_server_that_knows_no_ranges(rig):
    big = os.urandom(60000)
    rig.server.cut_after = 20000
    rig.server.wanted = one = Release(1, files(**{"big.bin": big}))
    whole = rig.server._image

    def no_range(path, headers):
        if "range" in headers:
            rig.server.cut_after = None
        return whole(path, {k: v for k, v in headers.items() if k != "range"})

    rig.server._image = no_range
    rig.state(1, "confirmed")
    rig.off()
    assert rig.holds("b", one)


def test_spoilt_bytes(rig):
    """Three downloads that are complete and wrong: left alone for an hour, and nothing decided."""
    rig.server.spoil = lambda number, data: data if not number else b"!" + data[1:]
    rig.server.wanted = Release(1, files(**{"data.txt": b"the right bytes"}))
    rig.state(1, "failed")
    assert rig.report(1, "failed")["reason"] == "digest"
    assert len([n for n, _ in rig.server.requests if n]) == 3, rig.server.requests
    rig.polled(3)
    assert rig.server.polls[-1][1] == "", "it was decided"
    assert len([n for n, _ in rig.server.requests if n]) == 3
    rig.server.spoil = None
    rig.off()  # after a restart it is tried again
    rig.state(1, "confirmed")


def test_a_spoilt_index(rig):
    rig.server.spoil = lambda number, data: data[:-1] + b"!" if not number else data
    rig.server.wanted = Release(1, files(**{"data.txt": b"the right bytes"}))
    rig.state(1, "failed")
    assert rig.report(1, "failed")["reason"] == "digest"
    assert {n for n, _ in rig.server.requests} == {0}


def rolled_back(rig, main, reason, log="", agent=None, seconds=60):
    bad = Release(1, dict(files(main), **(agent or {})))
    rig.server.wanted = bad
    rig.until(lambda: "rolled_back" in rig.server.states(1), seconds)
    r = rig.report(1, "rolled_back")
    assert r["reason"] == reason, r
    assert log in r.get("log", ""), r
    assert "confirmed" not in rig.server.states(1)
    rig.polled(2)
    assert rig.server.polls[-1][1] == '"1"', "not decided"
    rig.off()
    assert rig.slot()[0] == "b" and rig.slot()[1] == "aborted"
    assert rig.server.states(1).count("applied") == 1
    rig.polled(1)
    # Refused is refused; another one is not.
    rig.server.wanted = good = Release(2, files(b"print('good')\n" + SLEEPS))
    rig.state(2, "confirmed")
    rig.off()
    assert rig.slot() == ["b", "valid"] and rig.holds("b", good)


def test_rolled_back_crash(rig):
    main = b"import time\ntime.sleep(.1)\nraise ValueError('no such thing')\n"
    rolled_back(rig, main, "crash", "no such thing")


def test_restarts_though_it_cannot_report(rig):
    """A program that leaves no memory keeps no release from starting that is whole."""
    main = (
        b"import json\n"
        b"dumps = json.dumps\n"
        b"class Full:\n"
        b" def __getattr__(self, name): return getattr(json, name)\n"
        b" def dumps(self, what):\n"
        b"  if what.get('state') == 'applied': raise MemoryError('full')\n"
        b"  return dumps(what)\n"
        b"import flota_agent\n"
        b"flota_agent.json = Full()\n"
    )
    rig.server.wanted = Release(1, files(main + SLEEPS))
    rig.state(1, "confirmed")
    rig.polled(2)
    rig.server.wanted = Release(2, files())
    rig.state(2, "confirmed")
    assert "MemoryError: full" in rig.pico.output


def test_back_though_nothing_can_be_written(rig):
    """What goes back needs no note of it: a release on trial has one start."""
    rig.polled(1)
    main = (
        b"import os\n"
        b"for name in ('slot', 'agent', 'crash'):\n"
        b" os.mkdir('/flota/%s.new' % name)\n"
        b"raise ValueError('no way to tell')\n"
    )
    rig.server.wanted = bad = Release(1, files(main))
    rig.until(lambda: "no way to tell" in rig.pico.output)
    before = len(rig.server.polls)
    rig.until(lambda: len(rig.server.polls) > before)
    assert rig.server.polls[-1][0] != bad.digest
    assert "confirmed" not in rig.server.states(1)


def test_back_though_the_agent_cannot_see_to_it(rig):
    rig.polled(1)
    main = (
        b"import flota_agent\n"
        b"def fails(*_): raise MemoryError\n"
        b"flota_agent.ended = fails\n"
        b"raise ValueError('no way to tell')\n"
    )
    rolled_back(rig, main, "crash", "no way to tell")


def test_a_slot_that_lost_its_agent(rig):
    """A confirmed program removes it: the other slot gets a start."""
    rig.polled(1)
    base = rig.server.polls[-1][0]
    main = b"import os, time\ntime.sleep(3)\nos.remove('/b/flota_agent.mpy')\nprint('gone')\n"
    rig.server.wanted = Release(1, files(main))
    rig.state(1, "confirmed")
    rig.until(lambda: "gone" in rig.pico.output)
    rig.off()
    del rig.server.polls[:]
    rig.polled(1)
    assert rig.server.polls[0][0] == base
    rig.server.wanted = Release(2, files())
    rig.state(2, "confirmed")


def test_no_agent_keeps_no_program_from_running(rig):
    """What the device was given is spoilt: the agent cannot start, the program does."""
    main = (
        b"import json, time\n"
        b"print('runs')\n"
        b"time.sleep(3)\n"
        b"with open('/flota.json') as f: given = json.load(f)\n"
        b"given['key'] = 5\n"
        b"with open('/flota.json', 'w') as f: json.dump(given, f)\n"
        b"print('spoilt')\n"
    )
    rig.server.wanted = Release(1, files(main + SLEEPS))
    rig.state(1, "confirmed")
    rig.until(lambda: "spoilt" in rig.pico.output)
    rig.off()
    before = rig.pico.output.count("runs")
    rig.until(lambda: rig.pico.output.count("runs") > before)


def test_rolled_back_syntax(rig):
    rolled_back(rig, b"def f(:\n", "crash", "SyntaxError")


def test_rolled_back_agent_broken(rig):
    broken = {"flota_trial.py": b"import nothing_of_the_kind\n"}
    rolled_back(rig, SLEEPS, "crash", "ImportError", broken)


def test_rolled_back_selftest(rig):
    main = b"import flota_agent\nflota_agent.on_self_test(lambda: False)\n" + SLEEPS
    rolled_back(rig, main, "selftest")


def test_rolled_back_watchdog(rig):
    """The agent's own step hangs: nobody feeds the watchdog."""
    main = (
        b"import flota_agent\ndef hang():\n while True: pass\n"
        b"flota_agent.on_self_test(hang)\n" + SLEEPS
    )
    rolled_back(rig, main, "watchdog")


def test_rolled_back_interrupts_off(rig):
    rolled_back(rig, b"import machine\nmachine.disable_irq()\nwhile True: pass\n", "watchdog")


def without_checkin(rig, main=SLEEPS):
    """A release that the server does not answer, on a device whose old one it does."""
    bad = Release(1, files(b"print('trial')\n" + main))
    rig.server.misbehave = lambda method, path, headers: (
        (500, {}, b"{}") if headers.get("x-flota-running") == bad.digest else None
    )
    rig.server.wanted = bad
    rig.until(lambda: "rolled_back" in rig.server.states(1), 120)
    assert rig.report(1, "rolled_back")["reason"] == "no_checkin"
    assert rig.pico.output.count("trial\n") == 3, rig.pico.output
    assert rig.server.states(1).count("applied") == 1
    rig.off()
    assert rig.slot() == ["b", "aborted"]


def test_no_checkin_three_times(rig):
    without_checkin(rig)


def test_restarts_count_like_no_checkin(rig):
    without_checkin(rig, b"import machine\nmachine.reset()\n")


def test_soft_resets_count_like_no_checkin(rig):
    without_checkin(rig, b"import machine\nmachine.soft_reset()\n")


def test_the_network_is_nobodys_fault(rig):
    """While the old release cannot check in either, no trial counts."""
    rig.server.wanted = bad = Release(1, files(b"print('trial')\n" + SLEEPS))

    def gone(method, path, headers):
        if headers.get("x-flota-running") == bad.digest:
            rig.server.out = True
        return (500, {}, b"{}") if getattr(rig.server, "out", False) else None

    rig.server.misbehave = gone
    rig.until(lambda: rig.pico.output.count("trial\n") == 1)
    rig.until(lambda: rig.pico.output.count("[software]") == 2, 60)
    rig.pico.run(seconds=18)  # T and more: the old one cannot either
    rig.off()
    trial = rig.kept()["trial"]
    assert (trial["stage"], trial["tries"], trial["losses"]) == ("offline", 0, 1), trial
    rig.server.misbehave = None
    rig.state(1, "confirmed")
    assert "rolled_back" not in rig.server.states(1)


def test_power_lost_on_trial_counts_for_nothing(rig):
    rig.server.wanted = bad = Release(1, files(b"print('trial')\n" + SLEEPS))
    rig.server.misbehave = lambda method, path, headers: (
        (500, {}, b"{}") if headers.get("x-flota-running") == bad.digest else None
    )
    for i in range(4):
        rig.until(lambda: rig.pico.output.count("trial\n") > i, 60)
        rig.off()
    rig.server.misbehave = None
    rig.state(1, "confirmed")
    assert "rolled_back" not in rig.server.states(1)


def test_a_program_that_sleeps_deeply(rig):
    """On trial it waits for the verdict; then it sleeps, and is updated when it wakes up."""
    main = (
        b"import time\n"
        b"from machine import *\n"
        b"print('awake', %d)\n"
        b"lightsleep(20)\n"
        b"time.sleep_ms(50)\n"
        b"deepsleep(5000)\n"
        b"print('never')\n"
    )
    for i in (1, 2, 3):
        rig.server.wanted = last = Release(i, files(main % i))
        rig.state(i, "confirmed")
        before = rig.pico.output.count("[sleep]")
        rig.until(lambda: rig.pico.output.count("[sleep]") >= before + 2)
    assert not [r for r in rig.server.reports if r["state"] == "rolled_back"]
    assert "never" not in rig.pico.output
    rig.off()
    assert rig.slot() == ["b", "valid"] and rig.holds("b", last)
    assert rig.kept()["trial"] is None


def test_a_program_that_sleeps_retries(rig):
    """It is never awake for as long as a trial that power ended is to wait for the next one."""
    main = b"import machine, time\ntime.sleep_ms(50)\nmachine.deepsleep()\n"
    rig.server.wanted = Release(1, files(main))
    rig.state(1, "confirmed")
    rig.until(lambda: "[sleep]" in rig.pico.output)
    rig.server.wanted = Release(2, files(b"print('trial')\n" + SLEEPS))
    rig.until(lambda: "trial" in rig.pico.output)
    rig.off()
    rig.state(2, "confirmed")
    assert rig.pico.output.count("trial") == 2


def test_a_sleep_in_a_callback(rig):
    """No timer runs meanwhile: the agent goes on, and nothing bites."""
    main = (
        b"import machine\n"
        b"f = lambda t: machine.deepsleep()\n"
        b"machine.Timer(-1).init(mode=machine.Timer.ONE_SHOT, period=100, callback=f)\n"
    )
    rig.server.wanted = Release(1, files(main + SLEEPS))
    rig.state(1, "confirmed")
    rig.until(lambda: "[sleep]" in rig.pico.output)
    assert "[watchdog]" not in rig.pico.output


def test_no_watchdog_while_it_sleeps(rig):
    """The trial's stays armed until the reset: off before a sleep, on after it."""
    main = (
        b"import flota_agent, flota_sleep, machine, time\n"
        b"class Registers:\n"
        b" def __setitem__(self, at, value):\n"
        b"  if value == 1 << 30: print('%x' % at)\n"
        b"flota_sleep._machine.mem32 = Registers()\n"
        b"machine.lightsleep(10)\n"
        b"while flota_agent.pending(): time.sleep_ms(10)\n"
        b"print('confirmed')\n"
        b"machine.lightsleep(10)\n"
        b"print('slept')\n"
    )
    rig.server.wanted = Release(1, files(main))
    rig.until(lambda: "slept" in rig.pico.output)
    assert "confirmed\n4005b000\n4005a000\nslept" in rig.pico.output.replace("\r", "")
    assert rig.pico.output.count("4005b000") == 1


def test_a_sleep_within_the_agents_step(rig):
    """What the agent itself calls cannot wait for it: it sleeps, and the trial ends."""
    main = b"import flota_agent, machine\nflota_agent.on_self_test(machine.deepsleep)\n"
    rig.server.wanted = Release(1, files(main + SLEEPS))
    rig.until(lambda: "[watchdog]" in rig.pico.output or "[sleep]" in rig.pico.output)
    assert "[watchdog]" not in rig.pico.output


def test_programs_that_never_yield(rig):
    for i, main in enumerate((SLEEPS, b"while True: pass\n", SLEEPS)):
        rig.server.wanted = Release(i + 1, files(b"print('p%d')\n" % i + main))
        rig.state(i + 1, "confirmed")


def test_a_program_that_writes_all_the_time(rig):
    """The flash runs what is scheduled: in the middle of the program's file operations, nearly
    always. The agent's own do not meet them, and come to their turn all the same."""
    rig.pico.slow = True
    main = rb"""
import os
try: os.mkdir('/data')
except OSError: pass
n = 0
while True:
    n += 1
    text = '%d\n' % n * 300
    folder = '/data/%d' % (n % 7)
    try: os.mkdir(folder)
    except OSError: pass
    with open(folder + '/new', 'w') as f: f.write(text)
    os.rename(folder + '/new', '/log%d.txt' % (n % 3))
    os.rmdir(folder)
    with open('/log%d.txt' % (n % 3)) as f: assert f.read() == text
    with open('/lines.txt', 'a' if n > 1 else 'w') as f: f.write('line\n')
    with open('/lines.txt') as f: assert f.read() == 'line\n' * n
"""
    for i in range(3):
        more = {"big.bin": os.urandom(30000)}
        rig.server.wanted = last = Release(i + 1, files(b"print('p%d')\n" % i + main, **more))
        rig.state(i + 1, "confirmed")
    rig.polled(2)
    rig.off()
    assert "Error" not in rig.pico.output, rig.pico.output
    assert rig.holds("b", last)
    lines = rig.pico.read("/lines.txt")
    assert lines and lines == b"line\n" * (len(lines) // 5)


def test_an_update_reaches_a_release_that_hangs(rig):
    """Confirmed with the interrupts on, then off for good: a start heals it."""
    main = b"import machine, time\ntime.sleep(1.5)\nmachine.disable_irq()\nwhile True: pass\n"
    rig.server.wanted = Release(1, files(main))
    rig.state(1, "confirmed")
    time.sleep(2)
    rig.server.wanted = two = Release(2, files(**{"more.bin": os.urandom(50000)}))
    for _ in range(6):
        rig.pico.run(lambda: "confirmed" in rig.server.states(2), 4)
        if "confirmed" in rig.server.states(2):
            break
        rig.pico.stop()
    rig.state(2, "confirmed")
    rig.off()
    assert rig.holds("a", two)


def test_exception_in_a_confirmed_release(rig):
    rig.server.wanted = Release(1, files(b"import time\ntime.sleep(2)\n1/0\n"))
    rig.state(1, "confirmed")
    rig.until(lambda: "ZeroDivisionError" in rig.report(1, "confirmed").get("log", ""))
    assert "starts again in 3 s; a key stops that" in rig.pico.output, rig.pico.output
    rig.until(lambda: "starts again in 6 s" in rig.pico.output)
    rig.pico.type("x")
    rig.until(lambda: "MicroPython v1.25" in rig.pico.output)
    rig.server.wanted = Release(2, files(b"print('two')\n" + SLEEPS))
    rig.state(2, "confirmed")  # the agent goes on meanwhile


def test_what_was_typed_before_stops_no_start(rig):
    main = b"import time\nprint('runs')\ntime.sleep(3)\n1/0\n"
    rig.server.wanted = Release(1, files(main))
    rig.state(1, "confirmed")
    rig.pico.type("hello")
    rig.until(lambda: "starts again in 3 s" in rig.pico.output)
    before = rig.pico.output.count("runs")
    rig.until(lambda: rig.pico.output.count("runs") > before, 30)


def test_a_server_that_drips_keeps_no_program(rig):
    """After a crash an update may go first, but not for as long as somebody on the way likes."""
    rig.server.wanted = Release(1, files(b"import time\nprint('runs')\ntime.sleep(2)\n1/0\n"))
    rig.state(1, "confirmed")
    rig.server.drip = 0.1
    rig.server.wanted = Release(2, files(b"print('two')\n" + SLEEPS))
    rig.until(lambda: "starts again" in rig.pico.output and rig.server.states(2))
    rig.off()
    before = rig.pico.output.count("runs")
    rig.until(lambda: rig.pico.output.count("runs") > before, 60)
    rig.server.drip = None
    rig.state(2, "confirmed")


def test_the_repl_is_the_programmers(rig):
    rig.polled(1)
    time.sleep(0.5)
    rig.interrupt()
    rig.pico.type("print(6*7)\r")
    rig.until(lambda: "42\n" in rig.pico.output or "42\r" in rig.pico.output)
    rig.polled(2)
    rig.server.wanted = Release(1, files(b"print('two')\n" + SLEEPS))
    rig.state(1, "confirmed")


def test_ctrl_d_on_trial(rig):
    rig.server.wanted = bad = Release(1, files(b"print('trial')\n" + SLEEPS))
    rig.server.misbehave = lambda method, path, headers: (
        (500, {}, b"{}") if headers.get("x-flota-running") == bad.digest else None
    )
    rig.until(lambda: "trial\n" in rig.pico.output)
    rig.interrupt()
    time.sleep(0.6)
    rig.pico.type("\x04")
    rig.until(lambda: "soft reboot" in rig.pico.output)
    rig.polled(2)
    rig.off()
    kept = rig.kept()
    assert kept["trial"]["tries"] == 1 and kept["trial"]["losses"] == 0, kept


def refused(rig, reason, decided=True, **more):
    rig.server.wanted = Release(7, files(b"print(7)\n" + SLEEPS), **more)
    rig.until(lambda: any(r["state"] == "failed" for r in rig.server.reports))
    report = rig.server.reports[-1]
    assert report["reason"] == reason, report
    assert report["deployment"] == (7 if decided else 0), report
    rig.polled(2)
    assert rig.server.polls[-1][1] == ('"7"' if decided else "")
    assert rig.server.requests == []


def test_refused_target(rig):
    refused(rig, "target", target={"device": "d2"})


def test_refused_board(rig):
    refused(rig, "board", board="micropython:py:rpi_pico")


def test_refused_app(rig):
    part = {"kind": "app", "path": "", "offset": 0, "size": 5, "sha256": sha(b"12345")}
    refused(rig, "too_large", parts=[part])


def test_refused_file(rig):
    part = {"kind": "file", "path": "x", "offset": 0, "size": 5, "sha256": sha(b"12345")}
    refused(rig, "too_large", parts=[part])


def test_refused_signature(rig):
    real = bench.SIGNER
    try:
        bench.SIGNER = 5
        wanted = Release(7, files(b"print(7)\n" + SLEEPS))
    finally:
        bench.SIGNER = real
    rig.server.wanted = wanted
    rig.until(lambda: any(r["state"] == "failed" for r in rig.server.reports))
    report = rig.server.reports[-1]
    assert report["reason"] == "signature" and report["deployment"] == 0
    rig.polled(2)
    assert rig.server.polls[-1][1] == ""


def test_replay_and_downgrade(rig):
    rig.server.wanted = Release(9, files(b"print(9)\n" + SLEEPS), security_version=2)
    rig.state(9, "confirmed")
    rig.server.wanted = Release(8, files(), security_version=2)
    rig.state(8, "failed")
    assert rig.report(8, "failed")["reason"] == "replay"
    rig.server.wanted = Release(10, files(), security_version=1)
    rig.state(10, "failed")
    assert rig.report(10, "failed")["reason"] == "downgrade"


def test_too_large(rig):
    rig.server.wanted = Release(1, files(**{"big.bin": bytes(800000)}))
    rig.state(1, "failed")
    assert rig.report(1, "failed")["reason"] == "too_large"
    assert {n for n, _ in rig.server.requests} == {0}, "a file was fetched"
    rig.server.wanted = Release(2, files(**{"big.bin": bytes(400000)}))
    rig.state(2, "confirmed")
    # As much again does not fit beside it, but instead of it.
    rig.server.wanted = Release(3, files(**{"big.bin": b"\1" * 400000}))
    rig.state(3, "failed")
    assert rig.report(3, "failed")["reason"] == "too_large"
    rig.server.wanted = Release(4, files(b"print(4)\n" + SLEEPS))
    rig.state(4, "confirmed")
    rig.server.wanted = Release(5, files(**{"big.bin": b"\1" * 400000}))
    rig.state(5, "confirmed")


def test_a_full_flash(rig):
    """Nothing fits, not even a note: the program runs on, and is updated when there is room."""
    main = (
        b"import os, time\n"
        b"try: os.mkdir('/data')\n"
        b"except OSError: pass\n"
        b"try:\n"
        b" f = open('/data/full', 'w')\n"
        b" while True: f.write('x' * 512)\n"
        b"except OSError: pass\n"
        b"try: f.close()\n"
        b"except OSError: pass\n"
        b"for i in range(2000):\n"
        b" try:\n"
        b"  with open('/data/%d' % i, 'w') as f: f.write('y' * 400)\n"
        b" except OSError: break\n"
        b"print('full', i)\n"
    )
    rig.server.wanted = Release(1, files(main + SLEEPS))
    rig.state(1, "confirmed")
    rig.until(lambda: "full" in rig.pico.output)
    rig.server.wanted = Release(2, files(**{"more.bin": os.urandom(60000)}))
    rig.state(2, "failed")
    assert rig.report(2, "failed")["reason"] in ("too_large", "storage")
    for _ in range(3):
        rig.off()
        before = rig.pico.output.count("full")
        rig.polled(1)
        rig.until(lambda: rig.pico.output.count("full") > before)
    rig.interrupt()
    rig.pico.type("import os; [os.remove('/data/' + n) for n in os.listdir('/data')]\r")
    rig.server.wanted = three = Release(3, files(**{"more.bin": os.urandom(60000)}))
    rig.state(3, "confirmed")
    rig.off()
    assert rig.holds("a", three)


def test_new_key(rig):
    new = bench.public(77)
    keys = [bench.base64.b64encode(new).decode()]
    rig.server.wanted = Release(1, files(b"print(1)\n" + SLEEPS), keys=keys)
    rig.state(1, "confirmed")
    two = Release(2, files(b"print(2)\n" + SLEEPS))
    data = bench.base64.b64decode(two.statement["payload"])
    two.statement["kid"] = bench.hashlib.sha256(new).hexdigest()[:16]
    two.statement["sig"] = bench.base64.b64encode(bench.sign(77, data)).decode()
    rig.server.wanted = two
    rig.state(2, "confirmed")


def answers(rig, answer, times=1):
    """Has the next polls answered so; returns the list of when."""
    when = []

    def misbehave(method, path, headers):
        if path != "/d/v1/update" or len(when) >= times:
            return None
        when.append(time.time())
        return answer(headers) if callable(answer) else answer

    rig.server.misbehave = misbehave
    rig.until(lambda: len(when) >= times, 90)
    return when


def test_outages_back_off(rig):
    """5 s, doubled, each ± 25 %, in a time that goes 20 times faster."""
    rig.polled(1)
    when = answers(rig, (500, {}, b"{}"), 5)
    for i in range(1, 5):
        wait, want = when[i] - when[i - 1], 5 * 2 ** (i - 1) / 20
        assert want * 0.74 <= wait <= want * 1.26 + 0.5, (i, wait, want)


def proofs(rig, change):
    def answer(headers):
        rig.server.poll = 3600
        status, more, body = rig.server.proved(headers, 204)
        rig.server.poll = 1
        return change(status, dict(more), body)

    return answer


def test_answers_that_prove_nothing(rig):
    """Each counts as an outage: the next poll comes soon, not in the hour that it names."""

    def other(status, more, body):
        return status, dict(more, **{"X-Flota-Mac": "0" * 64}), body

    def no_mac(status, more, body):
        return status, {"X-Flota-Poll": "3600"}, body

    def other_poll(status, more, body):
        return status, dict(more, **{"X-Flota-Poll": "3599"}), body

    def redirect(status, more, body):
        return 302, dict(more, Location="http://127.0.0.1:%d/" % rig.server.port), body

    def chunked(status, more, body):
        return status, dict(more, **{"Transfer-Encoding": "chunked", "Content-Length": 0}), body

    def large(status, more, body):
        return 200, more, b"x" * 5000

    def nothing(status, more, body):
        return 0, {}, b""

    def endless(status, more, body):
        return 200, dict({"X-%d" % i: "y" * 200 for i in range(60)}, **more), body

    rig.polled(1)
    for change in (other, no_mac, other_poll, redirect, chunked, large, nothing, endless):
        n = len(rig.server.polls)
        answers(rig, proofs(rig, change))
        rig.until(lambda: len(rig.server.polls) > n, 30)
        assert rig.server.polls[-1][1] == "", change.__name__


def test_later(rig):
    """429 and 503: as long as they say, a minute where they do not."""
    rig.polled(1)
    for status, more, least in ((503, {"Retry-After": "20"}, 1), (429, {}, 3)):
        n = len(rig.server.polls)
        when = answers(rig, (status, more, b"{}"))
        rig.until(lambda: len(rig.server.polls) > n)
        assert least <= time.time() - when[0] <= least + 1.5, time.time() - when[0]


def test_unknown_waits_an_hour(rig):
    rig.pico.hurry = 200
    rig.polled(1)
    n = len(rig.server.polls)
    when = answers(rig, (401, {}, b"{}"))
    rig.until(lambda: len(rig.server.polls) > n, 60)
    assert time.time() - when[0] >= 17.5, time.time() - when[0]


def test_a_link_that_is_void(rig):
    """403: polls again at once, once, for a fresh link; then waits."""
    rig.server.poll = 3600
    first = []

    def void(method, path, headers):
        if "/image/" in path and len(first) < 1:
            first.append(path)
            return 403, {}, b'{"code":"expired"}'
        return None

    rig.server.misbehave = void
    rig.server.wanted = Release(1, files(b"print(1)\n" + SLEEPS))
    rig.state(1, "confirmed")
    assert len(first) == 1


def test_a_link_that_stays_void(rig):
    rig.server.misbehave = lambda m, path, h: (403, {}, b"{}") if "/image/" in path else None
    rig.server.poll = 60
    rig.server.wanted = Release(1, files(b"print(1)\n" + SLEEPS))
    rig.polled(4)
    begun = len(rig.server.polls)
    rig.polled(2)
    time.sleep(0.1)
    assert len(rig.server.polls) <= begun + 3  # two at once, then 60 s


def test_reports_wait_for_the_server(rig):
    """At most eight, the newest of a deployment and state; they outlive a restart."""
    rig.server.misbehave = lambda method, path, h: (500, {}, b"{}") if "report" in path else None
    for n in range(1, 12):
        rig.server.wanted = Release(n, files(b"print(%d)\n" % n), board="another")
        rig.until(lambda: rig.server.polls and rig.server.polls[-1][1] == '"%d"' % n)
    rig.off()
    rig.server.misbehave = None
    rig.until(lambda: any(r["deployment"] == 11 for r in rig.server.reports))
    assert [r["deployment"] for r in rig.server.reports] == list(range(4, 12))


def test_a_report_that_is_wrong_is_dropped(rig):
    rig.server.misbehave = lambda method, path, h: (400, {}, b"{}") if "report" in path else None
    rig.server.wanted = Release(1, files(b"print(1)\n"), board="another")
    rig.until(lambda: rig.server.polls and rig.server.polls[-1][1] == '"1"')
    rig.polled(2)
    rig.off()
    assert rig.kept()["reports"] == []


def test_the_program_has_a_say(rig):
    main = (
        b"import flota_agent, time\n"
        b"flota_agent.on_update(lambda u: print('update', u.state, u.version, u.reason))\n"
        b"flota_agent.on_offer(lambda u: u.version != 'v2')\n"
        b"t = time.ticks_ms()\n"
        b"flota_agent.on_ready(lambda: time.ticks_diff(time.ticks_ms(), t) > 6000)\n"
        b"print('id', flota_agent.product_id(), flota_agent.provisioned())\n"
        b"print('now', flota_agent.check_now(20000), repr(flota_agent.version()))\n" + SLEEPS
    )
    rig.server.wanted = Release(1, files(main))
    rig.state(1, "confirmed")
    rig.until(lambda: "now True 'v1'" in rig.pico.output)
    assert "id bot_001 True" in rig.pico.output
    rig.server.wanted = Release(2, files(b"print(2)\n" + SLEEPS))
    rig.state(2, "failed")
    assert rig.report(2, "failed")["reason"] == "vetoed"
    rig.server.wanted = Release(3, files(b"print(3)\n" + SLEEPS))
    rig.state(3, "verified")
    assert "update verified v3" in rig.pico.output
    rig.state(3, "confirmed")


def test_button(rig):
    rig.server.poll = 3600
    rig.polled(1)
    time.sleep(1)
    for _ in range(2):
        n = len(rig.server.polls)
        rig.pico.press(True)
        rig.until(lambda: len(rig.server.polls) == n + 1, 20)
        rig.pico.press(False)
        time.sleep(0.3)


def test_no_button(rig):
    """false is none, and not the pin of that number."""
    given_again(rig, button=False)
    rig.server.poll = 3600
    rig.polled(1)
    time.sleep(0.5)
    rig.pico.press(True)
    rig.pico.run(seconds=1.5)
    assert len(rig.server.polls) == 1


def test_bootsel_and_a_second_thread(rig):
    """The other core crashes when it runs from the flash while BOOTSEL is read."""
    main = (
        b"from _thread import *\n"
        b"start_new_thread(lambda: print('other'), ())\n"
    )
    for button, polls in ((None, 1), (0, 2)):  # the pin that is pressed below, too
        given_again(rig, main + SLEEPS, button=button)
        rig.server.poll = 3600
        del rig.server.polls[:]
        rig.until(lambda: "other" in rig.pico.output and rig.server.polls)
        time.sleep(0.5)
        rig.pico.press(True)
        rig.pico.run(seconds=1.5)
        assert len(rig.server.polls) == polls, button
        rig.off()
        rig.pico.output = ""


def test_how_often_the_button_is_read(rig):
    """While BOOTSEL is, nothing can be read from the flash."""
    main = (
        b"import flota_agent, time\n"
        b"reads = []\n"
        b"flota_agent.agent()._button = lambda: reads.append(1)\n"
        b"time.sleep(2)\n"
        b"print('%d reads' % len(reads))\n"
    )
    given_again(rig, main)
    rig.pico.hurry = 1
    rig.until(lambda: " reads\n" in rig.pico.output)
    reads = int(rig.pico.output.split(" reads\n")[0].split()[-1])
    assert 3 <= reads <= 11, reads


def test_provisioning(rig):
    """A new device, and what a host says to it over the cable."""
    given = bench.given(rig.server)
    new = first_flash(rig.server, open(bench.PICO + "/base/main.py", "rb").read())
    del new["/flota.json"]
    rig.pico.make(new)

    def say(line, word):
        before = len(rig.pico.output)
        rig.pico.type(line + "\n")
        answer = '{"flota":"%s"' % word
        rig.until(lambda: answer in rig.pico.output[before:], 20)
        said = rig.pico.output[before:].splitlines()
        line = [s for s in said if s.startswith(answer)][0]
        return json.loads(line)

    rig.pico.run(seconds=2)
    hello = say('{"flota":"hello"}', "hello")
    assert hello["provisioned"] is False and hello["agent"] == "flota_agent/1.0", hello
    assert hello["mac"] == "a0b1c2d3e4f5" and hello["rollback"] == "bootloader", hello
    assert say('{"flota":"status"}', "status")["server"] == "none"
    wrong = json.dumps(dict({"flota": "provision"}, **dict(given, key="fk_no")))
    assert say(wrong, "error")["field"] == "key"
    line = json.dumps(dict({"flota": "provision"}, **given))
    assert say(line, "provisioned")["device"] == "d1"
    rig.polled(2)
    status = say('{"flota":"status"}', "status")
    assert status["server"] == "ok" and status["network"] == "connected", status
    assert say('{"flota":"hello"}', "hello")["provisioned"] is True
    rig.server.wanted = Release(1, files(b"print('mine')\n" + SLEEPS))
    rig.state(1, "confirmed")
    # The program has the port now; at the REPL the host asks for it.
    rig.interrupt()
    rig.pico.type("import flota_cable; flota_cable.listen()\r")
    time.sleep(0.5)
    status = say('{"flota":"status"}', "status")
    assert status["deployment"] == 1 and status["version"] == "v1", status
    say('{"flota":"erase"}', "erased")
    assert say('{"flota":"hello"}', "hello")["provisioned"] is False
    rig.off()
    assert rig.pico.read("/flota.json") is None


def given_again(rig, main=SLEEPS, **more):
    """The same board, never started, that was given something else."""
    rig.pico.make(first_flash(rig.server, main, **more))


def test_networks_in_their_order(rig):
    wifi = [("nowhere", "12345678"), ("locked", "not this one"), ("shed", "12345678")]
    given_again(rig, wifi=[{"ssid": s, "password": p} for s, p in wifi])
    rig.polled(1)


def test_without_a_network_the_program_starts(rig):
    given_again(rig, b"print('mine')\n" + SLEEPS, wifi=[{"ssid": "nowhere", "password": ""}])
    rig.until(lambda: "mine" in rig.pico.output, 5)
    assert rig.server.polls == []


def test_the_programs_own_network(rig):
    main = (
        b"import network\nw = network.WLAN(network.STA_IF)\nw.active(True)\n"
        b"w.connect('shed', '12345678')\n"
    )
    given_again(rig, main + SLEEPS, wifi=[])
    rig.polled(2)


def test_a_program_of_ones_own_before_provisioning(rig):
    """Any program runs on a new device; the agent listens meanwhile."""
    new = first_flash(rig.server, SLEEPS)
    del new["/flota.json"]
    rig.pico.make(new)
    rig.pico.run(seconds=2)
    line = json.dumps(dict({"flota": "provision"}, **bench.given(rig.server)))
    rig.pico.type(line + "\n")
    rig.until(lambda: "provisioned" in rig.pico.output)
    rig.polled(1)


def test_storage_that_came_back_as_anything(rig):
    rig.server.wanted = Release(1, files(b"print(1)\n" + SLEEPS))
    rig.state(1, "confirmed")
    rig.off()
    base = {}
    for slot in "ab":
        index = rig.pico.read("/%s/.index" % slot).decode()
        for path in [line.split(" ", 2)[2] for line in index.splitlines()] + [".index"]:
            base["/%s/%s" % (slot, path)] = rig.pico.read("/%s/%s" % (slot, path))
    for path in ("/boot.py", "/main.py", "/flota_boot.py", "/flota.json"):
        base[path] = rig.pico.read(path)
    for name, broken, slot in (
        ("no slot", {}, "a"),
        ("half a line", {"/flota/slot": b"b val"}, "a"),
        ("another state", {"/flota/slot": b"b good\n"}, "a"),
        ("binary", {"/flota/slot": b"\xff" * 20}, "a"),
        ("a file cut short", {"/a/flota_wire.mpy": base["/a/flota_wire.mpy"][:100]}, "b"),
        ("agent garbage", {"/flota/slot": b"b valid\n", "/flota/agent": b'{"trial":[1],'}, "b"),
        ("agent of other types", {
            "/flota/slot": b"b valid\n",
            "/flota/agent": b'{"trial":{"release":3},"reports":[[1]],"decided":"x",'
            b'"owner":"w1/d1"}',
        }, "b"),
        ("slot without release", {"/flota/slot": b"b valid\n", "/b/.index": b""}, "b"),
    ):
        rig.pico.make(dict(base, **broken))
        if name == "slot without release":
            continue
        rig.polled(1)
        want = sha(base["/%s/.index" % slot])
        assert rig.server.polls[-1][0] == want, name
        rig.off()


def certificates():
    for name in ("one", "two"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec"]
            + ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
            + ["-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"]
            + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1"]
            + ["-keyout", "%s/%s.key" % (SCRATCH, name), "-out", "%s/%s.pem" % (SCRATCH, name)],
            check=True,
            capture_output=True,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SCRATCH + "/one.pem", SCRATCH + "/one.key")
    return context


def test_tls(rig):
    """https with a pinned certificate; another certificate is not talked to."""
    context = certificates()
    ours = Rig("tls-one", tls=context, ca=open(SCRATCH + "/one.pem").read())
    try:
        ours.server.wanted = one = Release(1, files(**{"big.bin": os.urandom(30000)}))
        ours.state(1, "confirmed")
        ours.off()
        assert ours.holds("b", one)
    finally:
        ours.off()
    theirs = Rig("tls-two", tls=context, ca=open(SCRATCH + "/two.pem").read())
    try:
        theirs.pico.run(seconds=4)
        assert theirs.server.polls == []
    finally:
        theirs.off()


def test_power_cuts(rig):
    """The power goes at some byte of an update; then it comes back, and the update is made."""
    rng = random.Random(4)
    old = rig.pico.keep()
    more = {"lib/x.bin": os.urandom(30000)}
    rig.server.wanted = one = Release(1, files(b"print('one')\n" + SLEEPS, **more))
    rig.pico.cut = 1 << 30
    rig.state(1, "confirmed")
    rig.polled(2)
    rig.off()
    # Written by the start that installs, and by the one that is on trial.
    total = rig.pico.written if rig.pico.written > 20000 else 90000
    cuts = 60 if FULL else 15
    for i in range(cuts):
        rig.pico.put_back(old)
        del rig.server.reports[:], rig.server.polls[:], rig.server.requests[:]
        rig.pico.output = ""
        at = int(total * (i + rng.random()) / cuts) if i % 3 else rng.randrange(120000)
        rig.pico.cut = at
        if rig.pico.run(lambda: "confirmed" in rig.server.states(1), 60) is False:
            assert "[power]" in rig.pico.output, "cut at %d: neither cut nor confirmed" % at
        rig.pico.cut = None
        if rig.pico.process is None and rng.random() < 0.5:
            rig.pico.cut = rng.randrange(60000)  # and once more
            rig.pico.run(lambda: "confirmed" in rig.server.states(1), 60)
            rig.pico.cut = None
        assert rig.pico.run(lambda: "confirmed" in rig.server.states(1), 90), (
            "cut at %d: %s\n%s" % (at, rig.server.reports, rig.pico.output[-2000:])
        )
        assert "rolled_back" not in rig.server.states(1), "cut at %d" % at
        rig.off()
        assert rig.holds("b", one), "cut at %d: half a release" % at
    print("pico.agent.cuts=%d" % cuts)


def run(name, f, results):
    began = time.time()
    rig = None
    try:
        rig = Rig(name)
        f(rig)
        line, good = "ok %s (%.1f s)" % (name, time.time() - began), True
    except BaseException:
        line, good = "FAIL %s\n%s" % (name, traceback.format_exc()), False
        if rig:
            line += "--- output:\n%s\n--- reports: %s\n--- polls: %s\n--- requests: %s" % (
                rig.pico.output[-3000:],
                rig.server.reports[-12:],
                rig.server.polls[-6:],
                rig.server.requests[-12:],
            )
    finally:
        if rig:
            rig.off()
            rig.server.down = True  # its socket stays: another thread may be about to accept
    print(line, flush=True)
    results.append(good)


LONG = (
    "no_checkin_three_times",
    "soft_resets_count_like_no_checkin",
    "restarts_count_like_no_checkin",
    "the_network_is_nobodys_fault",
    "a_server_that_drips_keeps_no_program",
)


def main():
    global FULL
    FULL = sys.argv[1] == "full"
    tests = [(n[5:], f) for n, f in globals().items() if n.startswith("test_")]
    if sys.argv[2:]:
        tests = [(n, f) for n, f in tests if n in sys.argv[2:]]
    elif not FULL:
        print("skipped: what waits for most of a minute, which is for full:", *LONG)
        tests = [(n, f) for n, f in tests if n not in LONG]
    results = []
    queue = list(reversed(tests))
    queue.sort(key=lambda t: t[0] == "power_cuts")  # the longest first

    def work():
        while True:
            try:
                name, f = queue.pop()
            except IndexError:
                return
            run(name, f, results)

    threads = [threading.Thread(target=work) for _ in range(4)]  # most of them wait
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("agent: %d of %d scenarios" % (sum(results), len(tests)))
    subprocess.run(["rm", "-rf", SCRATCH])
    sys.exit(0 if len(results) == len(tests) and all(results) else 1)


main()
