"""Wi-Fi and the time of day, for the agent."""

import socket
import struct
import time

import flota_boot
import flota_clock as clock

try:
    import network
except ImportError:
    network = None

NTP = "pool.ntp.org"
_NTP_EPOCH = 2208988800  # 1970 in seconds since 1900 (RFC 5905)


class Station:
    """The networks that the device was given, tried in their order while there is none.

    A connection that the program made is used as it is, and nobody's attempt is disturbed.
    """

    def __init__(self):
        self.wlan = network.WLAN(network.STA_IF) if network else None
        self._networks = ()
        self._next = 0
        self._until = None  # an attempt is left alone until then

    def set(self, networks):
        self._networks = networks
        self._next = 0
        self._until = None

    def ready(self):
        """Whether there is a network; takes the next step towards one where there is none."""
        if not self.wlan:
            return True
        if self.wlan.isconnected():
            self._until = None
            return True
        now = clock.now()
        status = self.wlan.status() if self.wlan.active() else 0
        if self._until is None and status > 0:
            self._until = now + clock.JOIN  # somebody else is at it
        if self._until and now < self._until and (status > 0 or not self._next):
            return False
        if not self._networks:
            return False
        if self._next >= len(self._networks):
            self._next = 0  # a rest, so that an access point of the program's is of use, too
            self._until = now + clock.JOIN
            return False
        given = self._networks[self._next]
        self._next += 1
        self._until = now + clock.JOIN
        try:
            self.wlan.active(True)
            self.wlan.connect(given["ssid"], given.get("password") or None)
        except OSError:
            pass  # the next one, then
        return False

    def state(self):
        """The cable's word for the network."""
        if not self.wlan:
            return "connected"
        if self.wlan.isconnected():
            return "connected"
        status = self.wlan.status() if self.wlan.active() else 0
        words = {1: "connecting", 2: "connecting", -2: "no_ssid", -3: "wrong_password"}
        return words.get(status, "connecting" if self._networks else "none")

    def ip(self):
        return self.wlan.ifconfig()[0] if self.wlan and self.wlan.isconnected() else ""

    def rssi(self):
        """dBm; 0 where it is not known."""
        try:
            return self.wlan.status("rssi") if self.wlan else 0
        except (OSError, ValueError, TypeError):
            return 0

    def mac(self):
        from binascii import hexlify

        try:
            return hexlify(self.wlan.config("mac")).decode() if self.wlan else ""
        except (OSError, ValueError):
            return ""


def set_clock():
    """Sets the time of day where nobody did (RFC 5905): a generator. False where it cannot be had.

    Certificates are valid from one day to another, and a Pico begins in 2021.
    """
    if time.gmtime()[0] >= 2025:
        return True
    from machine import RTC

    address = flota_boot.resolve(NTP, 123)[0][-1]
    yield
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.sendto(b"\x1b" + bytes(47), address)
        began = clock.now()
        while clock.now() - began < 5000:
            try:
                answer = sock.recv(48)
            except OSError:
                yield True
                continue
            if len(answer) == 48:
                t = time.gmtime(struct.unpack(">I", answer[40:44])[0] - _NTP_EPOCH)
                RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
                return True
        return False
    finally:
        sock.close()
