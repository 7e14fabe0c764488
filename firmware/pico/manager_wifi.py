"""Keeps a Pico W on its Wi-Fi, and opens an access point where it has none.

    wifi = WiFiManager("shed", "password", "pico-shed")
    wifi.is_connected()

Nothing here blocks: each call does the next step. Whoever asks is_connected() now and then need
not call update() as well.
"""

import json
import os
import time
from binascii import hexlify
from hashlib import sha256

import machine
import network
from micropython import const

_STORE = "/.wifi"
_MOST = const(4)  # networks that are kept
_GRACE_MS = const(60000)  # how long the access point stays once there is a network
_TROUBLE = {-1: "no connection", -2: "network not found", -3: "wrong password"}  # CYW43's


def _past(ticks, ms):
    # Whether so long has passed, or so long that ticks_diff() has wrapped: after 6.2 days.
    return not 0 <= time.ticks_diff(time.ticks_ms(), ticks) < ms


class WiFiManager:
    """One station and, where it finds no network, one access point.

    ssid, password     the network; "" where there is none. What join() stored is tried first
    hostname           by which DHCP and mDNS know the device: pico-shed.local
    retry_interval_ms  between two tries
    ap_after_ms        without a network until the access point opens; None: never
    ap_password        of the access point, 8 to 63 characters; else it is told on the console
    """

    def __init__(
        self, ssid, password, hostname, retry_interval_ms=10000,
        ap_after_ms=120000, ap_password=None,
    ):
        own = machine.unique_id()
        self.hostname = hostname or "pico-" + hexlify(own[-2:]).decode()
        self.retry_interval_ms = retry_interval_ms
        self.ap_after_ms = ap_after_ms
        # The chip's number is told by nothing that it sends; so this is not to be guessed.
        secret = hexlify(sha256(b"access point" + own).digest()[:6]).decode()
        self.ap_password = ap_password or secret
        self._given = [(ssid, password)] if ssid and ssid != "your_ssid" else []
        self._joined = self._stored()
        self._next = 0
        self._tried = None  # ticks
        self._leave = None  # ticks of join()
        self._since = time.ticks_ms()  # with or without a network
        self._was = False
        self._ssid = self._error = ""
        self._ap = None
        network.hostname(self.hostname)
        self._sta = network.WLAN(network.STA_IF)
        self.update()

    def _networks(self):
        return self._joined + self._given

    def _stored(self):
        try:
            with open(_STORE) as f:
                return [(n["ssid"], n["password"]) for n in json.load(f)]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def update(self):
        """The next step, if it is time. Never raises for trouble of the network."""
        try:
            connected = self._sta.active() and self._sta.isconnected()
            if connected != self._was:
                self._was = connected
                self._since = time.ticks_ms()
                if connected:
                    self._error = ""
                    print("Wi-Fi: http://%s:8080" % self.get_ip())
            if self._leave is not None and _past(self._leave, 1000):
                self._leave = None
                self._sta.disconnect()
                return
            if connected:
                if self._ap and _past(self._since, _GRACE_MS):
                    self._ap.active(False)
                    self._ap = None
                return
            known = self._networks()
            if known:
                self._try(known)
            if self.ap_after_ms is not None and not self._ap:
                if not known or _past(self._since, self.ap_after_ms):
                    self._open()
        except OSError as e:
            self._error = str(e)

    def _try(self, known):
        if self._tried is not None:
            if not _past(self._tried, self.retry_interval_ms):
                return
            self._error = _TROUBLE.get(self._sta.status(), "no answer yet")
        self._tried = time.ticks_ms()
        ssid, password = known[self._next % len(known)]
        self._ssid = ssid
        self._next += 1
        self._sta.active(True)
        self._sta.disconnect()
        self._sta.connect(ssid, password or None)

    def _open(self):
        self._ap = network.WLAN(network.AP_IF)
        self._ap.config(ssid=self.hostname, key=self.ap_password)
        self._ap.active(True)
        print("Wi-Fi: no network. Access point %s, password %s, then http://%s:8080" % (
            self.hostname, self.ap_password, self._ap.ifconfig()[0]))

    def is_connected(self):
        """Whether there is a network; sees to it as update() does."""
        self.update()
        return self._was

    def access_point(self):
        """The name of the access point while it is open, else None."""
        return self.hostname if self._ap else None

    def get_ip(self):
        """The address in the network, or in the access point's; None without either."""
        if self._was:
            return self._sta.ifconfig()[0]
        return self._ap.ifconfig()[0] if self._ap else None

    def get_status(self):
        """connected, ssid, ip, hostname, access_point, and what went wrong last."""
        return {
            "connected": self._was,
            "ssid": self._ssid,
            "ip": self.get_ip(),
            "hostname": self.hostname,
            "access_point": self.access_point(),
            "error": self._error,
        }

    def join(self, ssid, password):
        """Stores a network, as the first to try, and tries it in a second.

        Raises ValueError where these can be no name and password of a network.
        """
        if not 0 < len(ssid.encode()) <= 32:
            raise ValueError("The name of a network has 1 to 32 bytes.")
        if password and not 8 <= len(password.encode()) <= 63:
            raise ValueError("The password of a network has 8 to 63 characters.")
        others = [n for n in self._joined if n[0] != ssid]
        self._joined = [(ssid, password)] + others[:_MOST - 1]
        with open(_STORE + ".new", "w") as f:
            json.dump([{"ssid": s, "password": p} for s, p in self._joined], f)
        os.rename(_STORE + ".new", _STORE)
        self._next = 0
        self._tried = None
        # The answer to whoever asked for it goes out by the old one.
        self._leave = time.ticks_ms()

    def disconnect(self):
        """Leaves the network and closes the access point; update() starts again."""
        self._sta.disconnect()
        if self._ap:
            self._ap.active(False)
            self._ap = None
        self._was = False
        self._since = self._tried = time.ticks_ms()
