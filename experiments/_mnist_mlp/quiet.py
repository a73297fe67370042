"""One line instead of the C++ stack trace that JAX prints when process 0 has died.

JAX's coordination service runs in process 0. When process 0 dies, JAX aborts the others
at once and prints a page to file descriptor 2, often before Python can react. So in the
others a small program filters that descriptor. It passes on every line except those of
the service, and writes the given line in place of the trace.
"""

import os
import re
import signal
import subprocess
import sys
from typing import BinaryIO

NOISE = re.compile(
    rb"[WE]\d{4} .*(coordination_service|preemption_sync)"
    rb"|Additional GRPC error information|:UNKNOWN:Error received from peer"
)
FATAL = re.compile(rb"F\d{4} .*JAX distributed service detected fatal errors")


def put_in_place_of_the_trace(line: str) -> None:
    """Pass on what this process writes to stderr, except the trace."""
    sys.stderr.flush()
    command = [sys.executable, "-I", "-S", __file__, line]
    filtering = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert filtering.stdin is not None
    os.dup2(filtering.stdin.fileno(), sys.stderr.fileno())
    filtering.stdin.close()


def pass_on(lines: BinaryIO, out: BinaryIO, replacement: bytes) -> None:
    """Copy lines up to the trace; write the replacement unless it was among them."""
    said = False
    for line in lines:
        if FATAL.match(line):
            if not said:
                out.write(replacement)
            break
        if not NOISE.match(line):
            said = said or line == replacement
            out.write(line)
        out.flush()
    out.flush()
    for _ in lines:  # let the process write the rest
        pass


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends with the process
        signal.signal(number, signal.SIG_IGN)
    pass_on(sys.stdin.buffer, sys.stderr.buffer, f"{sys.argv[1]}\n".encode())
