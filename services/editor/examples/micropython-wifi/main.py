"""Waits for the network, and fetches a page over HTTP every minute.

The name and password of the network are not written here: the board keeps them
since its first flash, and joins the network by itself.
"""

import time

import network

from fetch import fetch

URL = "http://example.com/"
EVERY = 60  # seconds


def wait_for_network():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    while not wlan.isconnected():
        print("waiting for the network")
        time.sleep(2)
    print("address", wlan.ifconfig()[0])


def main():
    while True:
        wait_for_network()
        try:
            status, body = fetch(URL)
            print("status %d, %d bytes" % (status, len(body)))
        except (OSError, ValueError) as error:
            print("not fetched:", error)
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
