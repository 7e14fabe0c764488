"""Writes the cases of a file of vectors one a line: agent_lines.py FILE OUT. For a large heap."""

import json
import sys

with open(sys.argv[1]) as f:
    cases = json.load(f)["cases"]
with open(sys.argv[2], "w") as f:
    for case in cases:
        f.write(json.dumps(case) + "\n")
