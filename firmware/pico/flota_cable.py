"""Provisioning over the serial port (firmware/README.md, "Provisioning over the cable")."""

import time


class Cable:
    """One side of the dialogue, on sys.stdin and sys.stdout."""

    def step(self):
        """Takes what has come, and answers each line that is whole."""


def listen():
    """Serves the cable until Ctrl-C."""
    cable = Cable()
    while True:
        cable.step()
        time.sleep_ms(5)
