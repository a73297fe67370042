"""A folder belongs to one live process: a lock file names it.

Creating a file that must not exist is atomic, on NFS too, where `flock` may not work.
A lock whose process has ended is removed. On the same machine this is known at once. On
another machine the process counts as ended if it has not touched the file for
`ABANDONED_SECONDS`; a running process touches it every `BEAT_SECONDS`.
"""

import atexit
import contextlib
import json
import os
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxgrad._checks import wrong_value
from jaxgrad.training._owner import ABANDONED_SECONDS, Process, age, this_process

NAME = ".lock"
BEAT_SECONDS = 20.0

_held: dict[Path, threading.Event] = {}  # the locks of this process; set to end a beat


class Locked(OSError):
    """Another live process uses the folder; the message names it."""


def acquire(function: str, folder: Path) -> None:
    """Take the lock of a folder, or keep it; Locked if another process has it."""
    path = folder / NAME
    _check_regular(function, path)
    for _ in range(20):  # others may take and remove it meanwhile
        if _created(path) or _is_mine(path):
            return _start_beat(path)
        owner = _owner(path)
        if owner is not None and not _has_ended(path, owner):
            raise _refusal(function, path, owner)
        if owner is not None:
            _remove(path, owner)
    raise _refusal(function, path, {})


def check(function: str, folder: Path) -> None:
    """Locked if this process took the lock and another process has it now."""
    path = folder / NAME
    if path.absolute() in _held and not _is_mine(path):
        acquire(function, folder)


def release(folder: Path) -> None:
    """Give the lock up, if this process has it."""
    path = folder / NAME
    if beat := _held.pop(path.absolute(), None):
        beat.set()
        if _is_mine(path):
            path.unlink(missing_ok=True)


@atexit.register
def release_all() -> None:
    """Give up all locks of this process."""
    for path in list(_held):
        release(path.parent)


def _check_regular(function: str, path: Path) -> None:
    """OSError for a folder, link or pipe: reading a pipe would wait forever."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            got = "a folder, a link or a pipe"
            raise OSError(str(wrong_value(function, f"{path} to be a file", got)))


def _created(path: Path) -> bool:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = json.dumps(this_process()._asdict() | {"since": since})
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError:  # a full disk
        path.unlink(missing_ok=True)
        raise
    return True


def _owner(path: Path) -> dict[str, Any] | None:
    """The content of the lock; {} if it is unreadable; None if there is no lock."""
    try:
        found = json.loads(path.read_text())
        return found if set(Process._fields) <= set(found) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return {}


def _process(owner: dict[str, Any]) -> Process | None:
    return Process(*(owner[field] for field in Process._fields)) if owner else None


def _is_mine(path: Path) -> bool:
    return _process(_owner(path) or {}) == this_process()


def _has_ended(path: Path, owner: dict[str, Any]) -> bool:
    process = _process(owner)
    ended = process.has_ended() if process else None
    return age(path) > ABANDONED_SECONDS if ended is None else ended


def _remove(path: Path, owner: dict[str, Any]) -> None:
    """Remove the lock if it still names `owner`.

    Creates a second file first, so that only one process compares and removes.
    """
    guard = path.with_name(f"{NAME}.removal")
    try:
        guard.open("x").close()
    except FileExistsError:
        if age(guard) > ABANDONED_SECONDS:
            guard.unlink(missing_ok=True)
        time.sleep(0.05)
        return
    if _owner(path) == owner:
        path.unlink(missing_ok=True)
    guard.unlink(missing_ok=True)


def _start_beat(path: Path) -> None:
    """Touch the lock from now on until it is released."""
    path = path.absolute()
    if path in _held:
        return
    stop = _held[path] = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                if _is_mine(path):
                    os.utime(path)  # to the server's time

    threading.Thread(target=beat, daemon=True).start()


def _refusal(function: str, path: Path, owner: dict[str, Any]) -> Locked:
    who, process = "another process", _process(owner)
    if process is not None:
        since = owner.get("since", "an unknown time")
        who = (
            f"process {process.pid} on {process.host}, which has used it since {since},"
        )
    remedy = "stop that process, or choose another folder"
    if process is None or process.has_ended() is None:
        minutes, last = ABANDONED_SECONDS / 60, f"{max(age(path), 0):.0f} s ago"
        remedy += (
            f"; if it has ended, delete {path}, or wait: it counts as ended after "
            f"{minutes:g} minutes without touching the lock (last touched {last})"
        )
    expected = f"no other live run in {path.parent}"
    return Locked(str(wrong_value(function, expected, who, remedy)))
