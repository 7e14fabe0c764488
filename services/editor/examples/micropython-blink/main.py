"""Blinks the built-in LED and counts on the serial port."""

from blinker import Blinker


def main():
    blinker = Blinker("LED")
    while True:
        blinker.blink(500)
        print("blinks:", blinker.count)


if __name__ == "__main__":
    main()
