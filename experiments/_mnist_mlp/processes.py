"""Training over several processes: how they connect, agree and end together.

Every process runs the same program on its own devices and its own part of each batch.
Collective operations must run in all processes in the same order, so whatever decides
which of them run is compared at the start, a process that has to stop notifies the
others first, and if one dies, all end (`_mnist_mlp.channel`).
"""

import atexit
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments._mnist_mlp.channel import (
    FIRST_ENDED,
    Address,
    Hub,
    Member,
    listen,
)
from experiments._mnist_mlp.config import Config, checkpoint_folder
from experiments._mnist_mlp.quiet import put_in_place_of_the_trace
from jaxgrad.training import checkpoints

# What may differ between processes: it does not decide which operations they run.
OWN = ("process_id", "coordinator", "data_dir", "output_dir", "keep", "target_accuracy")
GRACE_SECONDS = 1.0  # for a process that is about to end on its own, and says why


class Stopped(Exception):
    """Training has stopped in this process; `code` is its exit code."""

    def __init__(self, code: int):
        super().__init__(f"stopped with exit code {code}")
        self.code = code


_member: Member | None = None  # the connection to the other processes
_hub: Hub | None = None  # in process 0


@contextmanager
def joined(config: Config) -> Iterator[None]:
    """Connect to the processes that the options name, and end with them."""
    global _member
    if config.coordinator is None and not config.distributed:
        yield
        return
    _member = _join(config)
    if not is_first():
        put_in_place_of_the_trace(_last_words(config, FIRST_ENDED))
    try:
        if _member is not None:
            check_same("the same options", _shared(config))
        yield
    except Stopped:
        _leave()
        raise
    except BaseException as fault:
        _fail(fault)
        raise
    _leave()


def _join(config: Config) -> Member | None:
    """Connect to the processes; ValueError if that fails, None for a single process."""
    address = config.coordinator
    try:
        if address is None:  # only JAX can read the cluster's settings
            jax.distributed.initialize()
            return _meet_by_jax(config) if jax.process_count() > 1 else None
        number, count = config.process_id or 0, config.num_processes or 1
        member = _meet(config, _address(address), number, count)
        jax.distributed.initialize(address, count, number)
        return member
    except (RuntimeError, ValueError) as fault:
        each = "start one process with each number from 0 to --num-processes - 1"
        raise ValueError(
            f"the processes could not connect: {fault}; {each}, within --join-seconds"
        ) from fault


def _meet(config: Config, address: Address, number: int, count: int) -> Member:
    global _hub
    seconds = config.join_seconds
    if number == 0:
        # If this fails, another process 0 may be listening there: it will answer.
        with suppress(OSError):
            _hub = Hub(listen(address[1]), count, seconds)
    return Member(address, number, count, seconds, partial(_end_with, config))


def _meet_by_jax(config: Config) -> Member:
    """Connect to the address at which process 0 listens; JAX sends it to all."""
    number, count = jax.process_index(), jax.process_count()
    place = np.zeros(300, np.uint8)
    if number == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            name = f"{platform.node()}:{free.getsockname()[1]}".encode()
        place[: len(name)] = list(name)
    told = np.asarray(multihost_utils.broadcast_one_to_all(place), np.uint8)
    return _meet(config, _address(told.tobytes().rstrip(b"\0").decode()), number, count)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _shared(config: Config) -> dict[str, Any]:
    """What decides which operations run, and must be the same in all processes."""
    options = {k: v for k, v in asdict(config).items() if k not in OWN}
    options["checkpoint_dir"] = "none" if config.checkpoint_dir is None else "a folder"
    return options | {"jax": jax.__version__}


def _end_with(config: Config, why: str, sudden: bool) -> None:
    """End this process because another process has ended; runs in a thread.

    The main thread may wait in a collective operation, which nothing can interrupt.
    After a sudden end of process 0 JAX aborts this process shortly afterwards.
    """
    if not sudden:
        time.sleep(GRACE_SECONDS)
    if _member is None or _member.leaving:
        return
    line = _last_words(config, why)
    sys.stderr.write(f"{line}\n")  # in one call: other processes may write too
    if is_first() and (folder := checkpoint_folder(config)):
        checkpoints.release(folder)
    _exit(1)


def _last_words(config: Config, why: str) -> str:
    advice = "Start all of them again; --checkpoint-dir would keep their progress."
    if folder := checkpoint_folder(config):
        advice = f"The checkpoints in {folder} are intact: start all with --resume."
    return f"error: {why}: this process ends too. {advice}"


def _exit(code: int) -> None:
    if _hub is not None:  # JAX aborts the others when this process is gone
        _hub.wait_for_the_others(GRACE_SECONDS + 2)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _leave() -> None:
    """Close the connection when all processes do."""
    global _member
    if _member is not None:
        _member.leave()
        jax.distributed.shutdown()
        _member = None


def _fail(fault: BaseException) -> None:
    """Tell the others why this process ends, and end without waiting for them."""
    if _member is None:
        return
    if isinstance(fault, jax.errors.JaxRuntimeError):
        # Most likely because another process has died: then `_end_with` says which.
        time.sleep(GRACE_SECONDS + 2)
    _member.fail(f"has stopped ({fault})".replace("\n", " ")[:500])
    code = 2 if isinstance(fault, (ValueError, OSError, ImportError)) else 1
    atexit.register(_exit, code)  # before JAX's own, which waits for the others


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def gather(value: Any) -> list[Any]:
    """The value that each process passed, in the order of the processes."""
    return [value] if _member is None else _member.gather(value)


def check_same(what: str, mine: dict[str, Any]) -> None:
    """ValueError that names every difference between the processes: both values."""
    everyone = gather({name: str(value) for name, value in mine.items()})
    first = everyone[0]
    different = [
        f"{name} {first.get(name)} in process 0 and {other.get(name)} in process {rank}"
        for rank, other in enumerate(everyone)
        for name in sorted({*first, *other})
        if first.get(name) != other.get(name)
    ]
    if different:
        got = "; ".join(different)
        raise ValueError(f"expected all processes to have {what}, got {got} instead.")


def local(tree: Any) -> Any:
    """This process's first copy of replicated arrays."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)
