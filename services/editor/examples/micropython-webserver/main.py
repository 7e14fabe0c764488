"""Serves a page that switches the LED, and counts the seconds meanwhile.

Both are tasks of asyncio: while one waits, the other runs. The page is at port
8000 of the board's address, which is printed once there is a network.
"""

import asyncio

import network
from machine import Pin

from page import answer

PORT = 8000
LONGEST = 2048  # bytes of a request that are read

led = Pin("LED", Pin.OUT)


async def serve(reader, writer):
    try:
        request = await asyncio.wait_for(reader.read(LONGEST), 10)
        writer.write(answer(request, led))
        await writer.drain()
    except (OSError, asyncio.TimeoutError):
        pass  # whoever asked went away
    finally:
        writer.close()
        await writer.wait_closed()


async def tell():
    wlan = network.WLAN(network.STA_IF)
    seconds = 0
    while True:
        place = wlan.ifconfig()[0] if wlan.isconnected() else "no network yet"
        light = "on" if led.value() else "off"
        print("up for %d s at %s, the LED is %s" % (seconds, place, light))
        await asyncio.sleep(5)
        seconds += 5


async def main():
    await asyncio.start_server(serve, "0.0.0.0", PORT)
    await tell()


if __name__ == "__main__":
    asyncio.run(main())
