"""What the web server answers."""

PAGE = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>LED</title>
<h1>The LED is %s</h1>
<form method="post" action="/%s"><button>Switch it %s</button></form>
"""


def answer(request, led):
    """The answer to a request, as bytes; POST /on and /off switch the LED."""
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0]
    if method == b"POST" and path in (b"/on", b"/off"):
        led.value(path == b"/on")
        return b"HTTP/1.0 303 See Other\r\nLocation: /\r\n\r\n"
    if path != b"/":
        return b"HTTP/1.0 404 Not Found\r\n\r\nThere is no such page.\n"
    now, other = ("on", "off") if led.value() else ("off", "on")
    page = PAGE % (now, other, other)
    return b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page.encode()
