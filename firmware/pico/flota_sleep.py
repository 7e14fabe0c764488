"""`machine` in the start that a release has on trial: a sleep of its waits for the verdict.

A deep sleep ends in a reset, and a light one stops the agent's timer: either would end the trial.
Afterwards they sleep without the watchdog, which is armed until the reset: it counts meanwhile,
and an RP2040 that it resets asleep does not start again (micropython/micropython#17228).
"""

import time as _time

import machine as _machine
from machine import *  # noqa: F401,F403: all of it, also for a program that does the same

import flota_boot as _boot

_agent = None  # puts itself here
# The watchdog's CTRL (RP2040 datasheet 4.7.6, RP2350 datasheet 12.9.7), where what is written is
# set or cleared (2.1.2, 2.1.3).
_SET, _CLEAR = _boot._REGISTERS + 0x2000, _boot._REGISTERS + 0x3000
_ENABLE = 1 << 30


def _awake():
    _agent.step()  # here, too: where a callback sleeps no timer runs
    _time.sleep_ms(10)


def _sleep(how, args):
    wdt = _boot.wdt
    before = None
    while True:
        polls = _agent.polls
        if not _agent.pending or _agent._stepping or _boot.busy:
            break  # it is over, or called from where the agent cannot go on meanwhile
        before = polls
        _awake()
    while _agent.polls == before:  # the verdict is reported first
        _awake()
    if wdt:
        _machine.mem32[_CLEAR] = _ENABLE
    try:
        how(*args)
    finally:
        if wdt:
            wdt.feed()
            _machine.mem32[_SET] = _ENABLE


def lightsleep(*ms):
    """machine.lightsleep(); on trial as long awake, or, without a limit, after the verdict."""
    if not (ms and _agent.pending):
        return _sleep(_machine.lightsleep, ms)
    began = _time.ticks_ms()
    while _time.ticks_diff(_time.ticks_ms(), began) < ms[0]:
        _awake()


def deepsleep(*ms):
    """machine.deepsleep(), after the verdict."""
    _sleep(_machine.deepsleep, ms)
