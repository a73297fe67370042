"""Which process a file belongs to, and whether that process still runs.

A process id alone is not enough: ids are reused, and several machines may share a
folder. So a process is identified by its machine, its id and its start time. Only its
own machine can see whether it still runs; other machines use the age of a file,
measured by the clock of the file server.
"""

import contextlib
import hashlib
import os
import platform
import uuid
from pathlib import Path
from typing import NamedTuple

ABANDONED_SECONDS = 300.0  # how long another machine may leave a file untouched


class Process(NamedTuple):
    """A process, identified across machines and reboots."""

    host: str
    pid: int
    started: str  # clock ticks since the boot
    machine: str  # this boot of the machine, and the container; "" if unknown

    def has_ended(self) -> bool | None:
        """Whether it no longer runs; None if that cannot be seen from here."""
        if not self.machine or self.machine != _machine():
            return None
        return _started(self.pid) != self.started


def this_process() -> Process:
    """The process that runs this code."""
    pid = os.getpid()
    return Process(platform.node(), pid, _started(pid), _machine())


def file_tag() -> str:
    """A part of a file name that tells `is_abandoned` who writes the file."""
    return f"{_machine_tag()}-{os.getpid()}"


def is_abandoned(file: Path) -> bool:
    """Whether nobody writes to a file named NAME.TAG.SUFFIX any more."""
    machine, _, pid = file.stem.rpartition(".")[2].rpartition("-")
    here = machine in ("", _machine_tag())  # earlier versions wrote the id only
    if here and _machine() and pid.isdigit():
        return not _started(int(pid))
    return age(file) > ABANDONED_SECONDS


def age(file: Path) -> float:
    """Seconds since a file was touched, by the clock that stamps its folder's files."""
    probe = file.with_name(f".{uuid.uuid4().hex}.clock")
    probe.touch()
    try:
        with contextlib.suppress(FileNotFoundError):
            return probe.stat().st_mtime - file.stat().st_mtime
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _started(pid: int) -> str:
    """When a process of this machine started; "" if it has ended."""
    if not Path("/proc/self/stat").exists():
        return "unknown"
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()  # a name may hold anything
    return "" if state in "ZX" else fields[18]  # a zombie has ended


def _machine() -> str:
    """The id of this boot and of this container, on Linux; "" elsewhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _machine_tag() -> str:
    name = _machine() or platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:12]
