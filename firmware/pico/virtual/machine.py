"""machine as a Pico has it (ports/rp2), of what a program can tell without hardware."""

import _board
import utime
from umachine import idle, soft_reset  # noqa: F401

PWRON_RESET = 1
WDT_RESET = 3

_WATCHDOG = 0x40058000  # RP2040 datasheet 4.7.6
_reason = {"watchdog": 1, "crash": 1, "software": 2, "sleep": 2}.get(_board.RESET, 0)


def reset():
    """Starts the chip again; reset_cause() is WDT_RESET then."""
    _board.end(64)


def reset_cause():
    return WDT_RESET if _reason else PWRON_RESET


def bootloader(timeout_ms=0):
    """Waits for the cable, as BOOTSEL does."""
    _board.tell("sleep 0")
    _board.end(65)


def lightsleep(time_ms=None):
    while time_ms is None:
        utime.sleep_ms(1000)
    utime.sleep_ms(time_ms)


def deepsleep(time_ms=0):
    """Sleeps, and starts the chip again."""
    _board.tell("sleep %d" % (time_ms * 1000))
    _board.end(65)


def unique_id():
    """8 bytes: the MAC address of efuse.json, as the flash chip's serial number."""
    return b"\xe6\x61" + _board.mac()


def freq(*hz):
    global _hz
    if not hz:
        return _hz
    _hz = hz[0]


_hz = 125000000


def disable_irq():
    before = _board.masked
    _board.masked = 1
    return before


def enable_irq(state):
    _board.masked = state


def bitstream(pin, encoding, timing, data):
    """To whatever hangs on the pin: nothing does."""


class _Memory:
    """The registers that there are: the watchdog's reason and scratch. The others read 0."""

    def __init__(self, size):
        self.size = size

    def __getitem__(self, at):
        kept = _board.scratch()
        offset = at - _WATCHDOG
        if offset == 8:
            return _reason
        value = 0
        for i in range(self.size):
            if 12 <= offset + i < 12 + len(kept):
                value |= kept[offset - 12 + i] << 8 * i
        return value

    def __setitem__(self, at, value):
        kept = _board.scratch()
        offset = at - _WATCHDOG
        for i in range(self.size):
            if 12 <= offset + i < 12 + len(kept):
                kept[offset - 12 + i] = value >> 8 * i & 255


mem8, mem16, mem32 = _Memory(1), _Memory(2), _Memory(4)


class Timer:
    """A soft timer: its callback runs between two instructions of the program, and in sleep."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **options):
        if id != -1:
            raise ValueError("Timer doesn't exist")
        self.callback = self.again = self.due = None
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, callback=None, period=0xFFFFFFFF, tick_hz=1000, freq=None):
        us = int(1000000 / freq) if freq is not None else period * 1000000 // tick_hz
        us = max(1, us)
        self.callback = callback
        self.again = us if mode == self.PERIODIC else None
        _board.start_timer(self, us)

    def deinit(self):
        _board.stop_timer(self)

    def fire(self):
        self.callback(self)


class WDT:
    """The watchdog: fed, or the chip starts again. Nothing stops it."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) doesn't exist" % id)
        if not 0 < timeout <= 8388:
            raise ValueError("timeout exceeds 8388")
        _board.tell("watchdog %d.%03d" % (timeout // 1000, timeout % 1000))
        self._fed = utime.ticks_ms()

    def feed(self):
        now = utime.ticks_ms()
        if utime.ticks_diff(now, self._fed) >= 20:
            self._fed = now
            _board.tell("feed")


class RTC:
    def datetime(self, when=None):
        """(year, month, day, weekday, hours, minutes, seconds, subseconds), UTC."""
        import time

        if when is None:
            y, mo, d, h, m, s, w, _ = time.gmtime()[:8]
            return y, mo, d, w, h, m, s, 0
        y, mo, d, _, h, m, s, _ = when
        _board.set_clock(utime.mktime((y, mo, d, h, m, s, 0, 0)))


# --- Pins

_names = {"LED": _board.LED, "WL_GPIO0": _board.LED}
_pins = {}


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    ALT = 3
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 4
    IRQ_RISING = 8

    def __new__(cls, id, *args, **options):
        if isinstance(id, Pin):
            return id
        number = id
        if isinstance(id, str):
            number = _names.get(id)
            if number is None and id[:2] == "GP":
                digits = id[4:] if id[:4] == "GPIO" else id[2:]
                number = int(digits) if digits.isdigit() else None
        if not isinstance(number, int) or not 0 <= number < 30:
            raise ValueError("invalid pin")
        if number not in _pins:
            pin = super().__new__(cls)
            pin._begin(number, id if id in _names else "GPIO%d" % number)
            _pins[number] = pin
        return _pins[number]

    def __init__(self, id, *args, **options):
        if args or options:
            self.init(*args, **options)

    def _begin(self, number, name):
        self._number, self._name = number, name
        self._mode = self._pull = self._level = 0
        self._irq = None
        self._edges = 0

    def init(self, mode=-1, pull=-1, *, value=None, alt=5):
        if value is not None:
            self._level = 1 if value else 0
        if mode != -1 and mode is not None:
            self._mode = mode
        if pull is None:
            self._pull = 0
        elif pull != -1:
            self._pull = pull
        self._tell()

    def _tell(self):
        if self._mode == self.IN:
            kind = ("in", "pullup", "pulldown")[self._pull]
        else:
            kind = "out"
        _board.pin(self._number, kind, self.value())

    def value(self, level=None):
        if level is not None:
            self._level = 1 if level else 0
            if self._mode != self.IN:
                self._tell()
            return None
        if self._mode == self.OUT:
            return self._level
        if self._mode == self.OPEN_DRAIN and not self._level:
            return 0
        outside = _board.inputs.get(self._number)
        if outside is None:
            return 1 if self._pull == self.PULL_UP or self._mode == self.OPEN_DRAIN else 0
        return 1 if outside else 0

    def __call__(self, *level):
        return self.value(*level)

    def on(self):
        self.value(1)

    high = on

    def off(self):
        self.value(0)

    low = off

    def toggle(self):
        self.value(not self._level)

    def mode(self, *mode):
        if not mode:
            return self._mode
        self.init(mode=mode[0])

    def pull(self, *pull):
        if not pull:
            return self._pull
        self.init(pull=pull[0])

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, *, priority=1, wake=None,
            hard=False):
        """Has the handler called when the level changes; hard and soft are one here."""
        self._irq, self._edges = handler, trigger
        self._flags = 0
        return _Irq(self)

    def _changed(self, level):
        self._flags = self.IRQ_RISING if level else self.IRQ_FALLING
        if self._irq and self._edges & self._flags:
            self._irq(self)

    def __repr__(self):
        if self._name in _names:
            return "Pin(%s, mode=%s)" % (self._name, "OUT" if self._mode else "IN")
        pull = (", pull=PULL_UP", ", pull=PULL_DOWN")[self._pull - 1] if self._pull else ""
        kind = ("IN", "OUT", "OPEN_DRAIN", "ALT")[self._mode]
        return "Pin(%s, mode=%s%s)" % (self._name, kind, pull)


class _Irq:
    def __init__(self, pin):
        self._pin = pin

    def flags(self):
        return self._pin._flags

    def trigger(self, *edges):
        before = self._pin._edges
        if edges:
            self._pin._edges = edges[0]
        return before

    def __call__(self):
        self._pin._irq(self._pin)


def _on_input(number, level):
    pin = _pins.get(number)
    if pin and pin._mode == Pin.IN:
        pin._tell()
        if pin._irq:
            _board.guard(pin._changed, level)


_board.on_input = _on_input


class Signal:
    """A pin whose level may mean the opposite."""

    def __init__(self, pin, *args, invert=False, **options):
        if not isinstance(pin, Pin):
            pin = Pin(pin, *args, **options)
        elif args or options:
            pin.init(*args, **options)
        self._pin, self._invert = pin, invert

    def value(self, level=None):
        if level is None:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(level) ^ self._invert)

    def __call__(self, *level):
        return self.value(*level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


def time_pulse_us(pin, level, timeout_us=1000000):
    """The length of a pulse in microseconds; -2 where it did not begin in time, -1 end."""
    for gone, error in ((level, -2), (1 - level, -1)):
        began = utime.ticks_us()
        while pin.value() != gone:
            if utime.ticks_diff(utime.ticks_us(), began) > timeout_us:
                return error
    return utime.ticks_diff(utime.ticks_us(), began)


def _number(pin):
    return Pin(pin)._number


class PWM:
    def __init__(self, dest, *, freq=None, duty_u16=None, duty_ns=None, invert=False):
        self._number = _number(dest)
        self._freq = 0
        self._duty = 0
        self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, *, freq=None, duty_u16=None, duty_ns=None, invert=False):
        if freq is not None:
            self.freq(freq)
        if duty_u16 is not None:
            self.duty_u16(duty_u16)
        if duty_ns is not None:
            self.duty_ns(duty_ns)

    def deinit(self):
        _board.pin(self._number, "none", 0)

    def freq(self, *hz):
        if not hz:
            return self._freq
        if not 8 <= hz[0] <= 62500000:
            raise ValueError("freq too %s" % ("small" if hz[0] < 8 else "large"))
        self._freq = hz[0]

    def duty_u16(self, *duty):
        if not duty:
            return self._duty
        self._duty = min(max(duty[0], 0), 65535)
        _board.pin(self._number, "pwm", self._duty)

    def duty_ns(self, *ns):
        if not ns:
            return self._duty * 1000000000 // 65535 // self._freq if self._freq else 0
        self.duty_u16(ns[0] * self._freq * 65535 // 1000000000)


class ADC:
    CORE_TEMP = 4

    def __init__(self, pin):
        if isinstance(pin, int) and pin <= 4:
            self._number = 26 + pin
        else:
            self._number = _number(pin)
            if not 26 <= self._number <= 29:
                raise ValueError("Pin doesn't have ADC capabilities")
        if self._number < 30:
            _board.pin(self._number, "adc", self.read_u16() >> 4)

    def read_u16(self):
        if self._number == 30:
            return 14021  # 27 degrees: 0.706 V
        level = _board.inputs.get(self._number, 0)  # 0 to 4095
        return level << 4 | level >> 8

    def read_uv(self):
        return self.read_u16() * 3300000 // 65535


# --- Buses on which nothing answers


class I2C:
    def __init__(self, *args, **options):
        pass

    init = deinit = __init__

    def scan(self):
        return []

    def _nobody(self, *args, **options):
        raise OSError(5)

    readfrom = readfrom_into = writeto = writevto = _nobody
    readfrom_mem = readfrom_mem_into = writeto_mem = _nobody


SoftI2C = I2C


class SPI:
    MSB = 0
    LSB = 1

    def __init__(self, *args, **options):
        pass

    init = deinit = __init__

    def read(self, n, write=0):
        return bytes(n)

    def readinto(self, buf, write=0):
        for i in range(len(buf)):
            buf[i] = 0

    def write(self, buf):
        pass

    def write_readinto(self, out, into):
        self.readinto(into)


SoftSPI = SPI


class UART:
    INV_TX = 1
    INV_RX = 2
    IRQ_RXIDLE = 0x40

    def __init__(self, *args, **options):
        pass

    init = deinit = irq = flush = sendbreak = __init__

    def any(self):
        return 0

    def txdone(self):
        return True

    def read(self, *n):
        return None

    readline = read

    def readinto(self, *args):
        return None

    def write(self, buf):
        return len(buf)
