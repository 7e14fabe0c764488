"""What the agent keeps over restarts, in one file that is replaced whole or not at all."""

import json

import flota_boot
from flota_statement import MAX_NUMBER, is_digest
from flota_trial import STAGES

FILE = "/flota/agent"
STATES = ("downloading", "verified", "applied", "confirmed", "failed", "rolled_back")
MAX_REPORTS = 8


def _number(value):
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else 0


def _release(value):
    """A release as it was written down, or None. Storage may come back as anything."""
    if not isinstance(value, dict) or not is_digest(value.get("sha256")):
        return None
    version = value.get("version")
    return {
        "deployment": _number(value.get("deployment")),
        "security_version": _number(value.get("security_version")),
        "size": _number(value.get("size")),
        "sha256": value["sha256"],
        "version": version[:64] if isinstance(version, str) else "",
        "failed": _number(value.get("failed")),
    }


def _candidate(value):
    release = _release(value.get("release")) if isinstance(value, dict) else None
    if not release or value.get("stage") not in STAGES:
        return None
    cause = value.get("cause")
    return {
        "release": release,
        "stage": value["stage"],
        "cause": cause if isinstance(cause, str) else "",
        "tries": _number(value.get("tries")),
        "losses": _number(value.get("losses")),
    }


class Kept:
    """owner     workspace and device that all of it is of
    accepted, decided, security_version   as in the protocol
    running   the release that was confirmed last, or None
    fetch     the one on its way, with how often it `failed`, or None
    trial     the candidate of flota_trial, or None
    reports   [deployment, state, reason, percent], the oldest first
    log       what a program left behind, for the next report
    crashes   exceptions of a confirmed program, in a row
    """

    def __init__(self, owner=""):
        """Reads it; what is of another owner is forgotten."""
        try:
            with open(FILE) as f:
                kept = json.load(f)
        except (OSError, ValueError, MemoryError):
            kept = None
        if not isinstance(kept, dict) or kept.get("owner", "") != owner:
            kept = {}
        self.owner = owner
        self.accepted = _number(kept.get("accepted"))
        self.decided = _number(kept.get("decided"))
        self.security_version = _number(kept.get("security_version"))
        self.running = _release(kept.get("running"))
        self.fetch = _release(kept.get("fetch"))
        self.trial = _candidate(kept.get("trial"))
        self.log = kept.get("log") if isinstance(kept.get("log"), str) else ""
        self.crashes = _number(kept.get("crashes"))
        self.reports = []
        for r in kept.get("reports") or () if isinstance(kept.get("reports"), list) else ():
            if isinstance(r, list) and len(r) == 4 and r[1] in STATES and isinstance(r[2], str):
                self.reports.append([_number(r[0]), r[1], r[2], 0])

    def save(self):
        """Writes it down. False where that cannot be."""
        kept = dict(self.__dict__)
        kept["reports"] = [r for r in self.reports if r[1] != "downloading"]
        try:
            text = json.dumps(kept)
            with open(FILE) as f:
                if f.read() == text:
                    return True  # the flash wears out
        except (OSError, ValueError):
            pass  # there is none, or no text
        try:
            flota_boot.replace(FILE, text)
            return True
        except OSError:
            return False

    def add(self, deployment, state, reason, percent):
        """Queues a report: the newest of a deployment and state, eight at most."""
        self.reports = [r for r in self.reports if r[0] != deployment or r[1] != state]
        del self.reports[: max(0, len(self.reports) - MAX_REPORTS + 1)]
        self.reports.append([deployment, state, reason, percent])
