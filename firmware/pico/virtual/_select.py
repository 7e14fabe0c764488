"""select as the rp2 port has it."""

from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll  # noqa: F401

__name__ = "select"


def select(readers, writers, others, timeout=None):
    """Three lists: those of each that can be read, written, or failed, within so many seconds."""
    p = poll()
    for objects, events in ((readers, POLLIN), (writers, POLLOUT), (others, 0)):
        for o in objects:
            p.register(o, events)
    found = p.poll(-1 if timeout is None else int(timeout * 1000))
    ready = ([], [], [])
    for o, events in found:
        if events & (POLLIN | POLLHUP) and o in readers:
            ready[0].append(o)
        if events & POLLOUT and o in writers:
            ready[1].append(o)
        if events & (POLLERR | POLLHUP) and o in others:
            ready[2].append(o)
    return ready
