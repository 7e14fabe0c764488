# Compiles every file that standard input names and says what is wrong, one JSON object a line.
import io
import json
import sys


def where(error, name):
    # MicroPython tells the line only in the trace: '  File "main.py", line 3'
    trace = io.StringIO()
    sys.print_exception(error, trace)
    line = 0
    for text in trace.getvalue().split("\n"):
        start = '  File "%s", line ' % name
        if text.startswith(start):
            line = int(text[len(start):].split(",")[0])
    return line


for name in sys.stdin:
    name = name.rstrip("\n")
    try:
        with open("/job/source/" + name) as f:
            compile(f.read(), name, "exec")
    except UnicodeError:
        print(json.dumps({"file": name, "line": 0, "message": "this file is not UTF-8 text"}))
    except (SyntaxError, MemoryError, OverflowError, RuntimeError) as error:
        message = "%s: %s" % (type(error).__name__, error)
        print(json.dumps({"file": name, "line": where(error, name), "message": message}))
print(json.dumps({"done": True}))
