"""How a command begins and ends: an error prints one line, without a traceback.

The imports of an experiment take seconds. `begin` runs before them, so that `--help`
answers at once and Ctrl-C ends them in one line.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 141  # what a shell reports for a program that SIGPIPE has ended


def begin() -> None:
    """Prepare a process whose first argument was `-m experiments...`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)
    sys.excepthook = _say_what_to_install
    from experiments._command import answer_help
    from experiments._terminal import columns

    os.environ["COLUMNS"] = str(columns())  # explain's tables obey it too
    answer_help()


def run_as_script(main: Callable[[], Any]) -> None:
    """Run `main`. Bad input prints one line and exits with code 2."""
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            main()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(NOBODY_READS)
    except (ValueError, OSError, ImportError, OverflowError, MemoryError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _end_at_once(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def _say_what_to_install(kind: Any, error: Any, trace: Any) -> None:
    if not isinstance(error, ModuleNotFoundError):
        sys.__excepthook__(kind, error, trace)
        return
    print(f'error: {error}: pip install -e ".[experiments]"', file=sys.stderr)
    sys.exit(2)
