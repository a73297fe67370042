"""Training over several processes: how they connect, and how they agree.

Every process runs the same program on its own devices and its own part of each batch.
Collective operations must run in all processes in the same order, so a process that
has to stop notifies the others first.
"""

import hashlib
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments._mnist_mlp.config import Config


class Stopped(Exception):
    """Training has stopped in this process; `code` is its exit code."""

    def __init__(self, code: int):
        super().__init__(f"stopped with exit code {code}")
        self.code = code


def join(config: Config) -> None:
    """Connect to the processes that the options name; ValueError if that fails."""
    if config.coordinator is None and not config.distributed:
        return
    try:
        numbers = config.num_processes, config.process_id
        jax.distributed.initialize(config.coordinator, *numbers)
    except (RuntimeError, ValueError) as fault:
        raise ValueError(f"the processes could not connect: {fault}") from fault


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def gather(number: int) -> list[int]:
    """The number that each process passed, in the order of the processes."""
    if jax.process_count() == 1:
        return [number]
    gathered = multihost_utils.process_allgather(np.array(number, np.int32))
    return gathered.reshape(-1).tolist()


def check_same(what: str, text: str) -> None:
    """ValueError unless `text` is the same in every process."""
    digest = hashlib.sha256(text.encode()).digest()
    if len(set(gather(int.from_bytes(digest[:3], "big")))) > 1:
        got = f"process {jax.process_index()} has {text}"
        raise ValueError(f"expected all processes to have the same {what}; {got}.")


def local(tree: Any) -> Any:
    """This process's first copy of replicated arrays."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)
