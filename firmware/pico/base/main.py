"""The program of a new device: waits for what it is given over the cable, and blinks."""

import time

import flota_agent
import flota_cable

try:
    from machine import Pin

    led = Pin("LED", Pin.OUT)
except (ImportError, TypeError, ValueError):
    led = None

cable = flota_cable.Cable(flota_agent.agent())
began = time.ticks_ms()
while True:
    cable.step()
    if led and time.ticks_diff(time.ticks_ms(), began) >= 500:
        began = time.ticks_ms()
        led.value(not led.value())
    time.sleep_ms(5)
