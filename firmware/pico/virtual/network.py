"""network as a Pico W has it: Wi-Fi of networks that the chip says are in range."""

import _board
import uos
import utime

STA_IF = 0
AP_IF = 1
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_WRONG_PASSWORD = -3
STAT_NO_AP_FOUND = -2
STAT_CONNECT_FAIL = -1
STAT_GOT_IP = 3

CONNECT_MS = 100  # what it takes to join a network
_BSSID = b"\x02\xf1\x07\xaa\x00\x01"
_hostname = "PicoW"
_country = "XX"
_shared = {}

# The networks in range, by name, each with its password; None: all there are, but for `nowhere`,
# and `locked` needs `password` (firmware/chip/README.md). Tests may change it.
air = None
if uos.getenv("BOARD_WIFI"):
    air = {}
    for _entry in uos.getenv("BOARD_WIFI").split("\n"):
        if _entry:
            _name, _, _password = _entry.partition("\t")
            air[_name] = _password


def hostname(*name):
    global _hostname
    if not name:
        return _hostname
    _hostname = name[0]


def country(*code):
    global _country
    if not code:
        return _country
    _country = code[0]


def route():
    """How sockets reach the world now: raises OSError where there is no network."""
    for w in _shared.values():
        if w.isconnected() or (w._kind == AP_IF and w._active):
            return
    raise OSError(118)  # EHOSTUNREACH, as lwIP counts


def _text(name):
    return name.decode() if isinstance(name, (bytes, bytearray)) else name


def _join(name, password):
    """What comes of it: a status."""
    if not _board.radio:
        return STAT_NO_AP_FOUND
    if air is not None:
        if name not in air:
            return STAT_NO_AP_FOUND
        return STAT_GOT_IP if air[name] == password else STAT_WRONG_PASSWORD
    if name == "nowhere":
        return STAT_NO_AP_FOUND
    if name == "locked" and password != "password":
        return STAT_WRONG_PASSWORD
    return STAT_GOT_IP


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    SEC_OPEN = 0
    SEC_WPA_WPA2 = 0x00400006
    SEC_WPA3 = 0x01000004
    SEC_WPA2_WPA3 = 0x01400004
    PM_NONE = 0x10
    PM_PERFORMANCE = 0xA11142
    PM_POWERSAVE = 0xA11C82

    def __new__(cls, interface=STA_IF):
        if interface not in (STA_IF, AP_IF):
            raise ValueError("invalid interface")
        if interface not in _shared:
            w = super().__new__(cls)
            w._kind = interface
            w._active = False
            w._name = w._result = w._until = None
            w._given = None
            w._options = {"pm": cls.PM_PERFORMANCE, "channel": 6, "txpower": 31, "antenna": 0}
            if interface == AP_IF:
                w._name = "PICO%02X%02X" % tuple(_board.mac()[4:])
            _shared[interface] = w
        return _shared[interface]

    def __init__(self, interface=STA_IF):
        pass

    def active(self, *on):
        if not on:
            return self._active
        self._active = bool(on[0])
        if not self._active:
            self.disconnect()

    def deinit(self):
        self.active(False)

    def scan(self, **options):
        """[(ssid, bssid, channel, rssi, security, hidden)], bytes and integers."""
        if not self._active:
            raise OSError(5)
        utime.sleep_ms(100)
        if not _board.radio:
            return []
        names = ["virtual", "locked"] if air is None else sorted(air)
        found = []
        for i, name in enumerate(names):
            password = air[name] if air is not None else name == "locked"
            found.append((name.encode(), _BSSID, 6, -50 - 10 * i, 5 if password else 0, 1))
        return found

    def connect(self, ssid=None, key=None, **options):
        if self._kind != STA_IF:
            raise OSError(22)
        if ssid is not None:
            self._name = _text(ssid)
            self._key = _text(key) or ""
        if not self._active:
            raise OSError(5)
        if self._name is None:
            raise ValueError("no network is named")
        self._result = None
        self._until = utime.ticks_add(utime.ticks_ms(), CONNECT_MS)

    def disconnect(self):
        self._result = self._until = None

    def status(self, *what):
        if what:
            if what[0] == "rssi":
                return -50 if self.isconnected() else 0
            if what[0] == "stations":
                return []
            raise ValueError("unknown status param")
        if self._until is None:
            return STAT_IDLE
        if self._result is None:
            if utime.ticks_diff(self._until, utime.ticks_ms()) > 0:
                return STAT_CONNECTING
            self._result = _join(self._name, self._key)
        if self._result == STAT_GOT_IP and not _board.radio:
            return STAT_CONNECTING  # it comes back with the network
        return self._result

    def isconnected(self):
        if self._kind == AP_IF:
            return False
        return self.status() == STAT_GOT_IP

    def _addresses(self):
        """(address, mask, gateway, name server)"""
        if self._kind == AP_IF:
            return self._given or ("192.168.4.1", "255.255.255.0", "192.168.4.1", "192.168.4.1")
        if not self.isconnected():
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        if self._given:
            return self._given
        if not _board.PROXY:
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
        mac = _board.mac()
        address = "10.0.%d.%d" % (mac[4], mac[5] or 2)
        return (address, "255.255.0.0", "10.0.0.1", "10.0.0.1")

    def ifconfig(self, *given):
        if not given:
            return self._addresses()
        self._given = None if given[0] == "dhcp" else tuple(given[0])

    def ipconfig(self, *name, **options):
        address, mask, gateway, _ = self._addresses()
        if options:
            return None
        return {
            "addr4": (address, mask),
            "gw4": gateway,
            "dhcp4": self._given is None,
            "has_dhcp4": address != "0.0.0.0",
            "addr6": [],
        }[name[0]]

    def config(self, *name, **options):
        if options:
            for key, value in options.items():
                if key in ("ssid", "essid"):
                    self._name = _text(value)
                elif key == "hostname":
                    hostname(value)
                else:
                    self._options[key] = value
            return None
        name = name[0]
        if name in ("ssid", "essid"):
            return self._name if self._kind == AP_IF or self.isconnected() else ""
        if name == "mac":
            return _board.mac()
        if name == "hostname":
            return _hostname
        if name in self._options:
            return self._options[name]
        raise ValueError("unknown config param")

    def __repr__(self):
        address = self._addresses()[0]
        return "<CYW43 %s %d %s>" % ("AP" if self._kind else "STA", self.status(), address)
