"""Reads the temperature of the chip once a second, and prints it for the plotter."""

import time

from machine import ADC

from average import Average

SENSOR = 4  # the channel of the sensor inside the chip; 26 to 28 are pins


def celsius(reading):
    """The temperature for a reading of 16 bits, by the datasheet: 27 °C are 0.706 V."""
    volts = reading * 3.3 / 65535
    return 27 - (volts - 0.706) / 0.001721


def main():
    sensor = ADC(SENSOR)
    smooth = Average(8)
    while True:
        now = celsius(sensor.read_u16())
        print("celsius:%.1f smooth:%.1f" % (now, smooth.add(now)))
        time.sleep(1)


if __name__ == "__main__":
    main()
