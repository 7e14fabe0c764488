# What the bootloader makes of a reset by the watchdog.
import machine

import flota_boot


def cause(reason, looked_up):
    machine.mem32[flota_boot._SCRATCH] = 0
    machine._reason = reason
    machine.mem32[flota_boot._NAMES] = looked_up
    return flota_boot._cause()


class Silent(Exception):
    pass


def silent(*args):
    raise Silent(machine.mem32[flota_boot._NAMES])


assert cause(0, 0) == "power"
assert cause(1, 0) == "watchdog"
assert cause(2, 0) == "software"
# DNS servers that are silent for longer than the watchdog waits are no fault of a release.
assert cause(1, 1) == "power"
assert machine.mem32[flota_boot._NAMES] == 0
assert cause(1, 0) == "watchdog"
import socket  # noqa: E402

known, socket.getaddrinfo = socket.getaddrinfo, silent
try:
    flota_boot.resolve("flota.local", 80)
    raise SystemExit("it was not asked")
except Silent as e:
    assert e.args[0] == 1, "a reset meanwhile would be the release's fault"
socket.getaddrinfo = known
assert machine.mem32[flota_boot._NAMES] == 0
assert flota_boot.resolve("127.0.0.1", 80)
print("ok causes of a start")
