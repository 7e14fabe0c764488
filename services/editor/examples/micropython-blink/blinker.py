"""An LED that knows how often it has blinked."""

import time

from machine import Pin


class Blinker:
    def __init__(self, pin):
        self.led = Pin(pin, Pin.OUT)
        self.count = 0

    def blink(self, ms):
        self.led.on()
        time.sleep_ms(ms)
        self.led.off()
        time.sleep_ms(ms)
        self.count += 1
