# The boot ROM of a virtual Pico: README.md beside this file. It leaves nothing of its own in the
# globals, which are those of boot.py, main.py and the REPL.
import _rom

_rom.start(globals())
