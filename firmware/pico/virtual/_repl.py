"""The REPL of shared/runtime/pyexec.c, as the rp2 port has it: friendly, paste, raw and raw-paste.

docs.micropython.org, reference/repl: "The MicroPython Interactive Interpreter Mode".
"""

import sys

import _board

BANNER = "MicroPython v1.25.0 on 2025-04-15; Virtual Pico W with RP2040\n"
EXIT = 2  # somebody asked for a soft reset: SystemExit, Ctrl-D
FAILED = 0
DONE = 1
_WINDOW = 128

names = None  # the globals of __main__
stdin = None  # bytes of the serial port
ps1, ps2 = ">>> ", "... "
raw = False  # which REPL is on
_history = []


def put(text):
    print(text, end="")


def _byte():
    return stdin.read(1)[0]


def run(do, *args, eof=""):
    """Calls what a program is, as parse_compile_execute does."""
    result = DONE
    error = None
    try:
        try:
            _board.interrupt_char = 3
            if _board.wanted:
                raise KeyboardInterrupt
            do(*args)
        finally:
            _board.interrupt_char = -2
    except SystemExit:
        result = EXIT
    except BaseException as e:
        result, error = FAILED, e
    _board.interrupt_char = -2
    _board.wanted = False
    put(eof)
    if error:
        sys.print_exception(error)
    put(eof)
    return result


def _execute(source, kind):
    exec(compile(bytes(source).decode(), "<stdin>", kind), names)


# --- Raw


def raw_repl():
    global raw
    line = bytearray()
    put("raw REPL; CTRL-B to exit\r\n>")
    while True:
        _board.interrupt_char = -1
        c = _byte()
        if c == 1:
            if len(line) == 2 and line[0] == 5:
                if _raw_paste(line[1]) == EXIT:
                    return EXIT
                put(">")
            else:
                put("raw REPL; CTRL-B to exit\r\n>")
            line = bytearray()
        elif c == 2:
            put("\r\n")
            raw = False
            return DONE
        elif c == 3:
            line = bytearray()
        elif c == 4:
            _board.interrupt_char = -2
            put("OK")
            if not line:
                put("\r\n")
                return EXIT
            if run(_execute, line, "exec", eof="\x04") == EXIT:
                return EXIT
            line = bytearray()
            put(">")
        else:
            line.append(c)


def _raw_paste(command):
    if command != 65:  # A
        put("R\x00")
        return DONE
    _board._write(1, b"R\x01" + bytes((_WINDOW, 0, 1)), 5)  # not as text, which is UTF-8
    source = bytearray()
    left = _WINDOW
    while True:
        c = _byte()
        if c == 3 or c == 4:
            _board.interrupt_char = -2
            put("\x04")
            break
        source.append(c)
        left -= 1
        if left == 0:
            put("\x01")
            left = _WINDOW
    if c == 3:
        return run(_interrupted, eof="\x04")
    return run(_execute, source, "exec", eof="\x04")


def _interrupted():
    raise KeyboardInterrupt


# --- Friendly


def friendly_repl():
    global raw
    put(BANNER + 'Type "help()" for more information.\n')
    while True:
        line, end = _readline("", ps1)
        kind = "single"
        if end == 1:
            put("\r\n")
            raw = True
            return DONE
        if end == 2:
            put("\r\n" + BANNER + 'Type "help()" for more information.\n')
            continue
        if end == 3:
            put("\r\n")
            continue
        if end == 4:
            put("\r\n")
            return EXIT
        if end == 5:
            line = _paste()
            kind = "exec"
        while end == 0 and _goes_on(line):
            line, end = _readline(line + "\n", ps2)
        if end == 3:
            put("\r\n")
            continue
        if line and run(_execute, line.encode(), kind) == EXIT:
            return EXIT


def _paste():
    _board.interrupt_char = -1
    put("\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
    line = bytearray()
    while True:
        c = _byte()
        if c == 3:
            line = bytearray()
        if c == 3 or c == 4:
            _board.interrupt_char = -2
            put("\r\n")
            return bytes(line).decode()
        line.append(c)
        if c == 13:
            put("\r\n=== ")
        else:
            sys.stdout.buffer.write(bytes((c,)))


def _goes_on(text):
    """Whether a statement wants another line: mp_repl_continue_with_input."""
    if not text:
        return False
    word = ""
    for c in text:
        if not (c.isalpha() or c.isdigit() or c == "_"):
            break
        word += c
    compound = text[0] == "@" or word in (
        "if", "while", "for", "try", "with", "def", "class", "async"
    )
    quote = ""
    depth = 0
    i = 0
    while i < len(text):
        c = text[i]
        if c in "'\"":
            triple = text[i: i + 3] == c * 3
            if not quote:
                quote = c * 3 if triple else c
                i += 2 if triple else 0
            elif quote == c:
                quote = ""
            elif quote == c * 3 and triple:
                quote = ""
                i += 2
        elif c == "\\" and quote and i + 1 < len(text) and text[i + 1] in "'\"\\":
            i += 1
        elif not quote:
            depth += 1 if c in "([{" else -1 if c in ")]}" else 0
        i += 1
    if len(quote) == 3 or (depth > 0 and not quote) or text[-1] == "\\":
        return True
    return compound and text[-1] != "\n"


def _complete(text):
    """What may follow a name, and the names there are: (the part they have in common, names)."""
    i = len(text)
    while i and (text[i - 1].isalpha() or text[i - 1].isdigit() or text[i - 1] in "_."):
        i -= 1
    *path, begun = text[i:].split(".")
    found = names
    try:
        for j, name in enumerate(path):
            found = found[name] if j == 0 else getattr(found, name)
        all = found.keys() if not path else dir(found)
    except (KeyError, AttributeError):
        return "", []
    fit = sorted(n for n in all if n.startswith(begun) and (begun or n[0] != "_"))
    if not fit:
        return "", []
    common = fit[0]
    for n in fit[1:]:
        while not n.startswith(common):
            common = common[:-1]
    return common[len(begun):], fit


def _indent(before):
    """The white space with which the next line of a compound statement begins."""
    last = before.rstrip("\n").split("\n")[-1]
    space = len(last) - len(last.lstrip(" "))
    if before.endswith("\n") and last.endswith(":"):
        space += 4
    return " " * space


def _readline(before, prompt):
    """Reads a line behind what there is: (all of it, 0), or (…, the control character)."""
    _board.interrupt_char = -1
    _board.wanted = False
    put(prompt)
    line = _indent(before) if before else ""
    put(line)
    at = len(line)
    back = 0  # in the history
    escape = ""
    while True:
        c = _byte()
        old, was = line, at
        if escape:
            escape += chr(c)
            if escape in ("\x1b[", "\x1bO") or (escape[-1].isdigit() and escape[1] == "["):
                continue
            key, escape = escape[1:], ""
            if key in ("[A", "[B"):
                back += 1 if key == "[A" else -1
                back = max(0, min(back, len(_history)))
                line = _history[-back] if back else ""
                at = len(line)
            elif key == "[C":
                at = min(at + 1, len(line))
            elif key == "[D":
                at = max(at - 1, 0)
            elif key in ("[H", "OH", "[1~"):
                at = 0
            elif key in ("[F", "OF", "[4~"):
                at = len(line)
            elif key == "[3~":
                line = line[:at] + line[at + 1:]
        elif 1 <= c <= 5 and not line or c == 3:
            return before + line, c
        elif c == 13:
            _board.interrupt_char = -2
            put("\r\n")
            if line and (not _history or _history[-1] != line):
                _history.append(line)
                if len(_history) > 8:
                    _history.pop(0)
            if before and not line.strip(" "):
                line = ""
            return before + line, 0
        elif c == 27:
            escape = "\x1b"
        elif c == 1:
            at = 0
        elif c == 5:
            at = len(line)
        elif c == 4:
            line = line[:at] + line[at + 1:]
        elif c in (8, 127):
            n = 4 if at >= 4 and not line[:at].strip(" ") else min(1, at)
            line, at = line[: at - n] + line[at:], at - n
        elif c == 9:
            if line and line[at - 1: at] == " ":
                more, fit = "    ", ()
            else:
                more, fit = _complete(line[:at])
            if not more and len(fit) > 1:
                put("\r\n" + "  ".join(fit) + "\r\n" + prompt + line)
                was = len(line)
            line, at = line[:at] + more + line[at:], at + len(more)
        elif 32 <= c <= 126:
            line, at = line[:at] + chr(c) + line[at:], at + 1
        if line != old or at != was:
            if line[: len(old)] == old and was == len(old) and at == len(line):
                put(line[was:])
            else:
                put("\b" * was + line + "\x1b[K" + "\b" * (len(line) - at))
