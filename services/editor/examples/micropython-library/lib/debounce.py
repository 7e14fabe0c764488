"""A button that is pressed once each time, whatever its contacts do."""

import time

SETTLED = 30  # milliseconds without a change


class Button:
    def __init__(self, pin):
        """pin is low while the button is pressed."""
        self.pin = pin
        self.level = self.last = pin.value()
        self.changed = time.ticks_ms()

    def pressed(self):
        """Whether it was pressed since the last call; call it often."""
        now, level = time.ticks_ms(), self.pin.value()
        if level != self.last:
            self.last, self.changed = level, now
        if level == self.level or time.ticks_diff(now, self.changed) < SETTLED:
            return False
        self.level = level
        return level == 0
