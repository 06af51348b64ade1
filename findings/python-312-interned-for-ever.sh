#!/bin/sh
# `sys.intern` shares equal texts, and its documentation says that they go when nobody holds them.
# The first releases of Python 3.12 keep them for ever (seen in 3.12.1; not in 3.11.7 and 3.13.0),
# so a server that interns the lines of its dialogues grows by 100 MiB with a million of them.
# Give the interpreters to look at; each says how much it grew.
set -eu
for python in "${@:-python3.12}"; do
    "$python" - << 'EOF'
import sys


def kibibytes():
    with open("/proc/self/statm") as memory:
        return int(memory.read().split()[1]) * 4


before = kibibytes()
for number in range(1_000_000):
    sys.intern(f"250 OK: queued as {number}, and nobody holds it")
print(sys.version.split()[0], f"grew by {kibibytes() - before} KiB")
EOF
done
