"""The update agent: it polls, decides, installs, tries, and goes back.

The program may, and need not, call what stands under "For the program".
"""

import gc
import json
import sys
import time
from binascii import hexlify
from collections import namedtuple
from hashlib import sha256

import machine
import micropython

import flota_boot
import flota_clock as clock
import flota_install
import flota_trial
from flota_kept import Kept
from flota_statement import Statement, Wrong, base64, parse_offer
from flota_station import Station
from flota_wire import Wire

VERSION = "flota_agent/1.0"
MAX_FAILED = 3  # downloads that are complete and wrong
PERIOD = 50  # between two steps
BUDGET = 25  # of a step, all in milliseconds

Update = namedtuple("Update", ("state", "percent", "version", "reason", "size"))


def _printable(text):
    return "".join(c for c in text if c >= " " and c != "\x7f")[:64]


def _chip():
    name = sys.implementation._machine
    return _printable(name[name.rfind(" with ") + 6:] if " with " in name else name)


class Agent:
    """All of it is called by step(), a slice at a time, but for what stands behind it."""

    def __init__(self):
        self.wire = Wire(bytearray(4096))
        self.station = Station()
        self.callbacks = {}
        self.provisioned = False
        self.pending = flota_boot.pending
        self.busy = False
        self.checkins = 0
        self.polls = 0
        self.check = False
        self.threads = False  # the program has started a thread
        self._given = {}
        self._cable = None
        self._changed = False
        self._button = None
        self._button_at = 0  # when it is read next
        self._was_pressed = False
        self._wanted = True  # the server still wants the candidate, as far as we know
        self._tested = False  # the self-test was passed
        self._complete = False  # the download is; the restart waits for the program
        self._program_at = None  # since when main.py runs
        self._program_ended = False
        self._failed = False  # an exception left main.py
        self._slot_size = None
        self._retry_at = self._ask_ready_at = self._report_at = 0
        self._usual = clock.USUAL
        self._failures = 0
        self._told = -1  # percent
        self._spoilt = (0, 0)  # the deployment whose bytes were wrong again and again; until when
        self._began = clock.now()  # this start, or this trial
        self._poll_at = self._began
        self._life = None
        self._stepping = False
        self.running = ""
        if flota_boot.slot:
            hasher = sha256()
            with open("/%s/.index" % flota_boot.slot, "rb") as f:
                while True:
                    piece = f.read(512)
                    if not piece:
                        break
                    hasher.update(piece)
            self.running = hexlify(hasher.digest()).decode()
        self._load()
        try:
            self._start_trial()
        except OSError as error:  # a flash that is full, or worn, must not end updates
            sys.print_exception(error)

    def step(self):
        """Does a slice of what is to be done. Never raises."""
        if self._stepping:
            return
        if flota_boot.busy:
            return flota_boot.tick()  # no file may be touched now; see _tick
        self._stepping = True
        try:
            flota_boot.tick()
            began = time.ticks_ms()
            if not self._life:
                self._life = self._live()
            while not next(self._life) and time.ticks_diff(time.ticks_ms(), began) < BUDGET:
                pass
        except Exception as error:
            self._fault(error)
        except BaseException:
            # Ctrl-C, meant for the program: what was under way begins anew.
            self._life = None
            self.wire.close()
            if self.kept.trial and self.kept.trial["stage"] == "applying":
                self.kept.trial["stage"] = "waiting"
            raise
        finally:
            self._stepping = False

    def _fault(self, error):
        # An error of ours must end neither the program nor the agent.
        print("flota:", end=" ")
        sys.print_exception(error)
        self._life = None
        self.wire.close()
        wait = clock.back_off(self._failures)
        self._poll_at = clock.now() + (min(wait, clock.PENDING_WAIT) if self.pending else wait)
        self._failures += 1
        self.polls += 1
        gc.collect()

    # What is kept, and what is known at the start.

    def _load(self):
        """Takes up what is in the storage, which the cable may have changed."""
        from flota_cable import NEEDED, load

        self._changed = False
        self._spoilt = (0, 0)
        self._given = given = load()
        owner = ""
        self.provisioned = False
        if all(given.get(name) for name in NEEDED):
            owner = "%s/%s" % (given["workspace"], given["device"])
            self.provisioned = self.wire.set(given["server"], given["key"], given.get("ca"))
        self.kept = Kept(owner)
        self.station.set(given.get("wifi") or ())
        self._set_button(given.get("button"))
        self._complete = False
        self._failures = 0
        known = self.kept.running
        self.release = known if known and known["sha256"] == self.running else None
        if self.provisioned:
            self._hang_up()
        if not self.kept.fetch:
            flota_install.clean()

    def _set_button(self, pin):
        """pin: its number; None is BOOTSEL, and False, which is no pin, none at all."""
        self._button = None
        try:
            if pin is not None:
                p = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
                self._button = lambda: not p.value()
                return
            from rp2 import bootsel_button

            self._button = lambda: not self.threads and bootsel_button()
        except (ImportError, ValueError, TypeError, AttributeError):
            pass

    def _crash_note(self):
        """What the bootloader wrote down about a release that had no agent to do so."""
        try:
            with open(flota_boot.CRASH) as f:
                text = f.read(1000)
        except (OSError, ValueError):
            return
        trial = self.kept.trial
        if trial and trial["stage"] == "activated" and not self.pending:
            trial["cause"] = trial["cause"] or "crash"
        self.kept.log = text
        self.kept.save()
        flota_install.remove(flota_boot.CRASH)

    def _start_trial(self):
        """Does what is to be done about a release on trial, first thing after the start."""
        self._crash_note()
        trial = self.kept.trial
        runs_it = bool(trial) and trial["release"]["sha256"] == self.running
        waited = bool(trial) and trial["stage"] == "waiting" and flota_boot.cause == "software"
        verdict = flota_trial.at_start(trial, self.pending, runs_it, flota_boot.cause)
        if trial:
            self.kept.save()
        if verdict == "on_trial":
            if not self.pending:
                flota_boot.mark(flota_boot.slot, "pending")
            self.pending = True
        elif verdict == "go_back":
            self._go_back()
            self.pending = True  # there was nothing to go back to
        elif verdict == "good":
            flota_boot.mark(flota_boot.slot, "valid")
            self.pending = False
            self._finish(trial["release"])
        elif verdict == "bad":
            self._conclude()
        elif verdict == "later":
            self._schedule_retry()
            if waited:  # the program sleeps, or restarts, before the time has passed
                self._retry_at = clock.now()
        elif verdict == "forget":
            self._drop_trial()
            self.pending = True

    def _schedule_retry(self):
        self._wanted = True
        self._retry_at = clock.now() + flota_trial.retry_after(self.kept.trial)

    # The life of the agent: generators that yield True where they wait.

    def _live(self):
        while True:
            yield from self._turn()

    def _turn(self):
        now = clock.now()
        if self._changed:
            self._load()
            self._poll_at = now  # whoever holds the cable waits for it
        trial = self.kept.trial
        if self.pending and now - self._began >= clock.TRIAL:
            self._end_trial("no_checkin")
        if trial and not self.pending and now - self._began >= clock.TRIAL:
            self._old_release_says(False)
        trial = self.kept.trial
        self.busy = self.pending or bool(self.kept.fetch)
        if not self.provisioned:
            self._listen()
            yield True
            return
        if self._button and now >= self._button_at:
            self._button_at = now + clock.BUTTON
            pressed = bool(self._button())
            self.check = self.check or (pressed and not self._was_pressed)
            self._was_pressed = pressed
        if self.check:
            self.check = False
            self._poll_at = now
            self._failures = 0
        if self._complete and now >= self._ask_ready_at:
            self._ask_ready_at = now + clock.ASK_READY
            if self._ask("ready"):
                yield from self._apply(True)
        if trial and not self.pending and self._wanted and trial["stage"] == "waiting":
            if now >= self._retry_at:
                yield from self._retry()
        if now < self._poll_at or not self.station.ready() or not self._settled(now):
            yield True
            return
        gc.collect()
        yield from self._round()
        self.wire.close()
        gc.collect()

    def _settled(self, now):
        """On trial a check-in counts only of a program that has run for a while."""
        if not self.pending:
            return True
        if self._failed and flota_boot.has_release(flota_boot.other()):
            return False  # it goes back, sooner or later
        return self._program_at is not None and now - self._program_at >= clock.SETTLED

    def _listen(self):
        """Serves the cable, while a program runs that does not; the REPL reads its own lines."""
        import flota_cable

        if not self._cable:
            if flota_cable.taken or self._program_at is None or self._program_ended:
                return
            self._cable = flota_cable.Cable(self)
        self._cable.step()

    def _hang_up(self):
        if self._cable:
            self._cable.close()
            self._cable = None

    def _ask(self, name, *args):
        """What the program says to a question; yes where it says nothing, no where it fails."""
        f = self.callbacks.get(name)
        if not f:
            return True
        try:
            return f(*args) is not False
        except Exception as error:
            sys.print_exception(error)
            return False

    def _round(self):
        if self.pending and not self._tested:
            if not self._ask("self_test"):
                return self._end_trial("selftest")
            self._tested = True
        result = yield from self._poll()
        if result == "forbidden" and self.kept.fetch:
            result = yield from self._poll()  # for a fresh link, once
        self._schedule(result)
        self.busy = self.pending or bool(self.kept.fetch)
        self.polls += 1
        if result == "ok":
            self.checkins += 1

    def _wants(self):
        return self.pending or self.kept.trial or self.kept.fetch

    def _poll(self):
        wire = self.wire
        etag = '"%d"' % self.kept.decided if self.kept.decided and not self._wants() else ""
        result = yield from wire.ask("GET", "/d/v1/update", self.running, etag)
        if self._changed:
            return "outage"  # it was asked for somebody who this device is not any more
        if result != "ok":
            return result
        interval = int(wire.poll) if wire.poll.isdigit() and len(wire.poll) < 10 else 0
        self._usual = min(interval * 1000, clock.MAX_WAIT) if interval else clock.USUAL
        size = wire.length if wire.status == 200 else 0
        self._checked_in()
        self._wanted = False  # unless it is what is offered
        if size:
            # What a check-in means is written to the storage only: the body lies where it lay.
            result = yield from self._offered(size)
            if result != "ok":
                return result
        else:
            self._complete = False
            if self.kept.fetch:
                self._drop_fetch()
        yield from self._send_reports()
        return "ok"

    def _schedule(self, result):
        if result != "outage":
            self._failures = 0
        if result == "unknown":
            wait = clock.MAX_WAIT
        elif result == "later":
            after = self.wire.retry_after
            wait = clock.LATER if after < 0 else min(after * 1000, clock.MAX_WAIT)
        elif result == "outage":
            wait = clock.back_off(self._failures)
            self._failures += 1
        else:
            wait = clock.after_poll(self._usual)
        # On trial time is short, and what is not proved to be the server's own must not use it up.
        if self.pending:
            wait = min(wait, clock.PENDING_WAIT)
        self._poll_at = clock.now() + wait

    def _checked_in(self):
        if self.pending:
            self._confirm()
        elif self.kept.trial:
            self._old_release_says(True)

    def _old_release_says(self, checked_in):
        verdict = flota_trial.old_release(self.kept.trial, checked_in)
        if verdict == "bad":
            self._conclude()
        elif verdict == "later":
            self.kept.save()
            self._schedule_retry()

    # An offer.

    def _offered(self, size):
        release = {"deployment": 0, "version": "", "size": 0}
        try:
            decided = yield from self._decide(size, release)
        except Wrong as e:
            if release["deployment"] and release["deployment"] == self.kept.decided:
                return "ok"
            self._refuse(release, e.args[0])
            return "ok"
        if decided == "install":
            return (yield from self._install(release, release.pop("link")))
        return decided

    def _decide(self, size, release):
        """Checks an offer and accepts it: "install", "ok" where it is to be left alone, "outage"
        where that cannot be written down. Raises Wrong."""
        offer = parse_offer(bytes(self.wire.view[:size]))
        if self._slot_size is None:
            self._slot_size = yield from flota_install.capacity()
        given, kept = self._given, self.kept
        statement = Statement()
        knowledge = {
            "workspace": given["workspace"],
            "device": given["device"],
            "board": given["board"],
            "groups": given.get("groups") or (),
            "keys": [base64(k) for k in given["keys"]],
            "accepted": kept.accepted,
            "security_version": kept.security_version,
            "slot": -1,
            "filesystem": -1,
            "files": self._slot_size,
        }
        try:
            yield from statement.check(offer, knowledge)
        finally:
            release["deployment"] = statement.deployment
            release["version"] = _printable(statement.version)
        if statement.deployment == kept.decided:
            return "ok"
        kind, _, _, size, digest = statement.parts[0]
        if kind != "index":
            raise Wrong("too_large")  # there is no place for single files
        release["security_version"] = statement.security_version
        release["size"], release["sha256"] = size, digest
        release["link"] = offer[3]
        return self._accept(release, statement.keys)

    def _accept(self, release, keys):
        kept = self.kept
        number, digest = release["deployment"], release["sha256"]
        if self.pending:
            return "outage"  # the slots are not to be touched
        trial = kept.trial and kept.trial["release"]
        if trial and trial["deployment"] == number and trial["sha256"] == digest:
            self._wanted = True
            return "ok"  # it waits for its next trial
        if number == self._spoilt[0] and clock.now() < self._spoilt[1]:
            return "ok"
        known = kept.fetch and kept.fetch["deployment"] == number
        if known and self._complete:
            return "ok"  # it waits for the program
        update = Update("downloading", 0, release["version"], "", release["size"])
        if not known and digest != self.running and not self._ask("offer", update):
            raise Wrong("vetoed")
        if keys and not self._trust(keys):
            return "outage"
        if kept.accepted != number:
            kept.accepted = number
            if not kept.save():
                return "outage"
        return "install"

    def _trust(self, keys):
        from binascii import b2a_base64

        from flota_cable import store

        self._given["keys"] = [b2a_base64(k).decode().strip() for k in keys]
        try:
            store(self._given)
            return True
        except Exception:
            return False

    def _refuse(self, release, reason):
        """Decides a deployment that is not installed."""
        kept = self.kept
        if release["deployment"]:
            kept.decided = release["deployment"]
            trial = kept.trial
            if trial and trial["release"]["deployment"] == kept.decided:
                kept.trial = None
            kept.fetch = None  # what was on its way before is not wanted any more
            flota_install.clean()
            self._complete = False
        self._report(release, "failed", reason)

    def _install(self, release, link):
        kept = self.kept
        self._complete = False
        if release["sha256"] == self.running:
            self._finish(release)
            return "ok"
        kept.trial = None  # something else is wanted now
        before = kept.fetch
        same = before and before["deployment"] == release["deployment"]
        if not (same and before["sha256"] == release["sha256"]):
            kept.fetch = dict(release, failed=0)
        if not kept.save():
            return "outage"
        self._report_at = 0
        install = flota_install.Install(
            self.wire, release["sha256"], release["size"], self._progress
        )
        while True:
            gc.collect()
            result, reason = yield from install.run(link)
            if install.advanced:
                self._failures = 0
                install.advanced = False
            if self._changed:
                return "outage"
            if result != "ok":
                return result
            if reason in ("", "complete"):
                break
            if reason in ("digest", "storage"):
                kept.fetch["failed"] += 1
                kept.save()
                if kept.fetch["failed"] < MAX_FAILED:
                    continue
            if reason == "digest":
                self._leave_alone(release)
            else:
                self._refuse(release, reason)
            return "ok"
        self._slot_size = None
        self._report(release, "verified")
        yield from self._send_reports()
        self._complete = True
        self._ask_ready_at = clock.now() + clock.ASK_READY
        if self._ask("ready"):
            yield from self._apply(False)
        return "ok"

    def _leave_alone(self, release):
        # It decides nothing: whoever is on the way can spoil bytes, and must not be able to end
        # a deployment.
        self._spoilt = release["deployment"], clock.now() + clock.MAX_WAIT
        self._drop_fetch()
        self._report(release, "failed", "digest")

    def _progress(self, percent, tell):
        release = self.kept.fetch
        if tell and release and clock.now() >= self._report_at:
            self._report_at = clock.now() + clock.SESSION
            self.kept.add(release["deployment"], "downloading", "", percent)
            yield from self._send_reports()
        if percent != self._told and release:
            self._tell(release, "downloading", "", percent)
        self._told = percent
        return not self._changed

    def _apply(self, waited):
        """Restarts into what was downloaded. Returns only when the flash fails, or holds something
        else after it waited for the program, which may write there."""
        self._complete = False
        release = self.kept.fetch
        if waited:
            other = flota_boot.other()
            if not (yield from flota_install.holds(other, release["sha256"], self.wire.view)):
                self._drop_fetch()
                self._poll_at = clock.now()
                return
        self.kept.trial = flota_trial.candidate(release)
        yield from self._activate()

    def _retry(self):
        """Restarts into a release that had a trial before, when it is still there."""
        if not self._ask("ready"):
            self._retry_at = clock.now() + clock.ASK_READY
            return
        digest = self.kept.trial["release"]["sha256"]
        if not (yield from flota_install.holds(flota_boot.other(), digest, self.wire.view)):
            return self._drop_trial()  # the server offers it again
        yield from self._activate()

    def _activate(self):
        if self._changed:
            return
        trial = self.kept.trial
        release = trial["release"]
        trial["stage"], trial["cause"] = "applying", ""
        try:
            if not self.kept.save():
                raise OSError
            flota_boot.mark(flota_boot.other(), "new")
        except OSError:
            return self._refuse(release, "storage")
        trial["stage"] = "activated"
        self.kept.fetch = None
        try:
            if not trial["tries"] and not trial["losses"]:
                self._report(release, "applied")
                yield from self._send_reports()
            else:
                self.kept.save()
        except Exception as error:  # no memory, for one: what is to start next is written down
            sys.print_exception(error)
        self._restart()

    # A trial.

    def _confirm(self):
        """The check-in of a release on trial."""
        trial = self.kept.trial
        if trial:
            trial["stage"] = "checked_in"
            self.kept.save()
        try:
            flota_boot.mark(flota_boot.slot, "valid")
        except OSError:
            return  # the next check-in says so again
        self.pending = flota_boot.pending = False
        if trial:
            self._finish(trial["release"])

    def _finish(self, release):
        """Decides a deployment that runs."""
        kept = self.kept
        kept.decided = release["deployment"]
        kept.security_version = max(kept.security_version, release["security_version"])
        kept.running = self.release = release
        kept.trial = kept.fetch = None
        kept.crashes = 0
        self._report(release, "confirmed")

    def _conclude(self):
        """Decides that the candidate is bad, for its cause."""
        trial, self.kept.trial = self.kept.trial, None
        self.kept.decided = trial["release"]["deployment"]
        self._report(trial["release"], "rolled_back", trial["cause"])

    def _end_trial(self, reason):
        """Gives the release that runs up."""
        trial = self.kept.trial
        if trial:
            trial["cause"] = reason
            self.kept.save()
        self._go_back()
        # There is nothing to go back to: it goes on trying, self-test or not.
        self._tested = True
        if trial:
            trial["cause"] = ""
            self.kept.save()
        self._began = clock.now()
        self._poll_at = self._began + clock.LATER

    def _go_back(self):
        if flota_boot.has_release(flota_boot.other()):
            try:
                flota_boot.mark(flota_boot.slot, "aborted")
            except OSError:
                if flota_boot.read() != (flota_boot.slot, "pending"):
                    return  # it would only start again
            self._restart()

    def _drop_trial(self):
        self.kept.trial = None
        self.kept.save()

    def _drop_fetch(self):
        self.kept.fetch = None
        self.kept.save()
        flota_install.clean()

    def _restart(self):
        self.wire.close()
        machine.reset()

    # Reports.

    def _report(self, release, state, reason="", percent=0):
        self.kept.add(release["deployment"], state, reason, percent)
        self.kept.save()
        self._tell(release, state, reason, 100)

    def _tell(self, release, state, reason, percent):
        f = self.callbacks.get("update")
        if not f:
            return
        try:
            f(Update(state, percent, release["version"], reason, release["size"]))
        except Exception as error:
            sys.print_exception(error)

    def _send_reports(self):
        """Sends what is kept, the oldest first, as far as it is taken."""
        kept = self.kept
        if self._slot_size is None:
            self._slot_size = yield from flota_install.capacity()
        while kept.reports:
            report = kept.reports[0]
            log = kept.log if report[1] != "downloading" else ""
            body = self._compose(report, log)
            result = yield from self.wire.ask("POST", "/d/v1/report", self.running, "", body)
            if self._changed:
                return
            if result != "ok" and self.wire.status not in (400, 413):
                return
            if report in kept.reports:
                kept.reports.remove(report)
            if log and kept.log == log:
                kept.log = ""
            if report[1] != "downloading":
                kept.save()

    def _compose(self, report, log):
        deployment, state, reason, percent = report
        gc.collect()
        body = {
            "deployment": deployment,
            "state": state,
            "chip": _chip(),
            "slot_size": self._slot_size,
            "free_heap": gc.mem_free(),
            "rollback": "bootloader",
            "agent": VERSION,
        }
        if state == "downloading":
            body["percent"] = percent
        if reason:
            body["reason"] = reason
        if self.running:
            body["running"] = self.running
        if self.release and self.release["version"]:
            body["version"] = self.release["version"]
        rssi = self.station.rssi()
        if -200 <= rssi < 0:
            body["rssi"] = rssi
        if log:
            body["log"] = log
        text = json.dumps(body).encode()
        if len(text) > 4096:
            body.pop("log")
            text = json.dumps(body).encode()
        return text

    # For the cable.

    def hello(self):
        from flota_cable import NEEDED, load

        self._slot_size = _run(flota_install.capacity())
        given = load()  # what was given a moment ago counts
        return (
            ("agent", VERSION),
            ("chip", _chip()),
            ("mac", self.station.mac()),
            ("board", given.get("board", "")),
            ("slot_size", self._slot_size),
            ("rollback", "bootloader"),
            ("provisioned", all(given.get(name) for name in NEEDED)),
        )

    def status(self):
        known = self.provisioned and not self._changed
        return (
            ("network", self.station.state()),
            ("ip", self.station.ip()),
            ("rssi", self.station.rssi()),
            ("server", self.wire.server if known else "none"),
            ("deployment", self.release["deployment"] if self.release else 0),
            ("version", self.version()),
        )

    def changed(self):
        """What is in the storage is other than before."""
        self._changed = True

    # What the bootloader's functions below do.

    def version(self):
        return self.release["version"] if self.release else ""

    def boot(self):
        if self.provisioned and not self.pending:
            # A release that ended badly may have no other time to be replaced than now.
            ended_badly = flota_boot.cause == "watchdog" or self.kept.crashes
            began, polls = clock.now(), self.polls
            longest = began + clock.BOOT_UPDATE  # a server that drips keeps no program for ever
            limit = clock.BOOT_NETWORK
            while self.polls == polls and clock.now() - began < limit:
                self.step()
                if limit == clock.BOOT_NETWORK and self.station.ready():
                    limit = clock.now() - began + clock.BOOT_ANSWER
                if ended_badly and self.kept.fetch and clock.now() < longest:
                    began = clock.now()
                time.sleep_ms(2)

    def started(self):
        self._program_at = clock.now()
        if self.pending or flota_boot.wdt:
            import flota_sleep

            flota_sleep._agent = self
            sys.modules["machine"] = sys.modules["umachine"] = flota_sleep
        if self._given.get("button") is None:
            import flota_thread

            flota_thread._agent = self
            sys.modules["_thread"] = flota_thread

    def ended(self, error):
        """An exception left main.py: back at once where it was on trial."""
        self._stepping = True  # no step in between
        self._failed = True
        try:
            kept = self.kept
            kept.log = flota_boot.text_of(error)
            if self.pending:
                self._end_trial("crash")
            ran = clock.now() - self._program_at
            wait = min(clock.AGAIN << min(kept.crashes, 6), clock.MAX_WAIT)
            if ran > wait:
                kept.crashes, wait = 0, clock.AGAIN
            kept.crashes += 1
            if self.release and not self.pending:
                self._report(self.release, "confirmed")  # it goes with the log
                self._poll_at = clock.now()
            kept.save()
            return wait // clock.hurry
        finally:
            self._stepping = False

    def stopped(self):
        self._program_ended = True
        self._hang_up()

    def left(self):
        """main.py asks for a soft reset: on trial that counts like no check-in."""
        self._stepping = True  # no step in between
        if self.pending and self.kept.trial:
            self.kept.trial["cause"] = "no_checkin"
            self.kept.save()


def _run(generator):
    while True:
        try:
            next(generator)
        except StopIteration as e:
            return e.value


_agent = None
_timer = None
_put_off = False  # _again is in the queue


def agent():
    """The one agent of this machine."""
    global _agent
    if not _agent:
        _agent = Agent()
    return _agent


def _tick(timer):
    """The timer's. Most of what comes while a program writes comes half way through a file
    operation: it asks again after each block then, or such a program would never be updated."""
    global _put_off
    _agent.step()
    if flota_boot.busy and not _put_off:
        try:
            micropython.schedule(_again, timer)
            _put_off = True
        except RuntimeError:
            pass  # the queue is full; the next tick


def _again(timer):
    global _put_off
    _put_off = False
    _tick(timer)


# For the bootloader (flota_boot.py).


def boot():
    """Polls once, bounded, then goes on by a timer."""
    global _timer
    agent()
    try:
        _agent.boot()
    finally:
        _timer = machine.Timer(-1)
        _timer.init(mode=machine.Timer.PERIODIC, period=PERIOD, callback=_tick)


def started():
    """The slot's main.py starts now."""
    _agent.started()


def ended(error):
    """An exception left main.py. Returns how long until the machine starts again, in ms."""
    return _agent.ended(error)


def stopped():
    """The slot's main.py has ended, in whatever way: the serial port is the REPL's."""
    _agent.stopped()


def leaving():
    """main.py asks for a soft reset."""
    _agent.left()


# For the program.


def on_update(f):
    """f(update) is told of each step; update: state, percent, version, reason, size."""
    agent().callbacks["update"] = f


def on_offer(f):
    """f(update) may refuse a release for good, by returning False (reported as "vetoed")."""
    agent().callbacks["offer"] = f


def on_ready(f):
    """f() is asked before the restart into a new release, again every second: is it safe now?"""
    agent().callbacks["ready"] = f


def on_self_test(f):
    """f() decides, before the first check-in of a new release, whether that works."""
    agent().callbacks["self_test"] = f


def check():
    """Polls at once, as the button does."""
    agent().check = True


def check_now(timeout_ms=60000):
    """Polls and waits until there is nothing left to do: True; False after timeout_ms."""
    a = agent()
    a.check = True
    before, began = a.checkins, time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < timeout_ms:
        time.sleep_ms(10)  # the timer steps
        if a.checkins > before and not a.busy:
            return True
    return False


def pending():
    """Whether the release that runs is on trial."""
    return agent().pending


def provisioned():
    """Whether the device was given what it needs to find its server."""
    return agent().provisioned


def product_id():
    """The device's name; "" before it was given one."""
    return agent()._given.get("product_id", "")


def version():
    """Of the release that runs; "" when unknown."""
    return agent().version()
