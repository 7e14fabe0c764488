"""The upload service alone: the smallest program that has it."""

import uasyncio as asyncio
from manager_wifi import WiFiManager
from service_ota import OTAUpdateService


async def main():
    # Without a name of a network the Pico opens an access point, and its page asks for one.
    wifi_service = WiFiManager("your_ssid", "your_password", "device-name")
    ota_service = OTAUpdateService(wifi_service)
    await ota_service.start()

    while True:  # your application
        await asyncio.sleep(1)


asyncio.run(main())
