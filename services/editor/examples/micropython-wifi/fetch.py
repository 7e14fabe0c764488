"""The least of an HTTP client: one GET, one answer, a bounded body."""

import socket


def fetch(url, most=4096, timeout=10):
    """Gets an http:// address.

    Gives the status and at most `most` bytes of the body. Raises OSError where the
    server is not reached within `timeout` seconds, and ValueError for what is no HTTP.
    """
    scheme, _, host, path = (url + "/").split("/", 3)
    if scheme != "http:":
        raise ValueError("only http:// addresses")
    name, _, port = host.partition(":")
    address = socket.getaddrinfo(name, int(port or 80), 0, socket.SOCK_STREAM)[0][-1]
    s = socket.socket()
    try:
        s.settimeout(timeout)
        s.connect(address)
        s.send(("GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path.rstrip("/"), host)).encode())
        status = s.readline().split()
        if len(status) < 2 or not status[0].startswith(b"HTTP/"):
            raise ValueError("no HTTP server")
        while s.readline() not in (b"\r\n", b"\n", b""):
            pass  # its headers
        body = b""
        while len(body) < most:
            part = s.recv(min(512, most - len(body)))
            if not part:
                break
            body += part
        return int(status[1]), body
    finally:
        s.close()
