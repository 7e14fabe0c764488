"""Counts the presses of a button between pin 15 and ground.

What is in the folder lib is found by import: modules of your own, as debounce
here, and packages. "Packages" beside the files fetches them, such as
umqtt.simple, with all that they need; package.json says which, and
package.lock.json what came and from where. Builds use what is there, and fetch
nothing.
"""

import time

from machine import Pin

from debounce import Button

BUTTON = 15


def main():
    button = Button(Pin(BUTTON, Pin.IN, Pin.PULL_UP))
    presses = 0
    print("press the button at pin", BUTTON)
    while True:
        if button.pressed():
            presses += 1
            print("presses:", presses)
        time.sleep_ms(5)


if __name__ == "__main__":
    main()
