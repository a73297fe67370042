"""Shared by the command lines: options and their checks."""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import tyro

from experiments._options import EXPERIMENTS
from experiments._script import run_as_script as run_as_script
from experiments._terminal import section as section
from experiments._terminal import table as table

Config = TypeVar("Config")
MIN_FREE_BYTES = 2**16


def parse(config: type[Config], argv: Sequence[str] | None, name: str) -> Config:
    """Parse the options of `python -m experiments.<name>` into a frozen dataclass.

    Raises:
        ValueError: If an integer does not fit into 64 bits.
        OSError: If `output_dir` is not writable; raised before the work starts.
    """
    prog = f"python -m experiments.{name}" if name else "python -m experiments"
    make: Any = config
    default = make(output_dir=Path("results") / name)
    options: Any = tyro.cli(config, args=argv, prog=prog, default=default)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        fits = not isinstance(value, int) or -(2**63) <= value < 2**63
        require(fits, _option(field.name), "an integer of 64 bits", value)
    _check_writable(options.output_dir)
    return options


def answer_help() -> None:
    """Print the help of `python -m experiments.NAME --help` and exit."""
    module = dict(zip(sys.orig_argv, sys.orig_argv[1:], strict=False)).get("-m", "")
    name = module.removeprefix("experiments.")
    if name in EXPERIMENTS and {"-h", "--help"} & set(sys.argv):
        parse(EXPERIMENTS[name], None, name)


def _check_writable(folder: Path) -> None:
    """Raise OSError unless the folder is writable or can be created."""
    try:
        absolute = folder.absolute()
        nearest = next(p for p in (absolute, *absolute.parents) if p.exists())
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(MIN_FREE_BYTES))  # a full disk still creates empty files
    except OSError as error:
        raise OSError(
            f"--output-dir: expected a folder to write in, got {folder} instead "
            f"({error.strerror})."
        ) from error


def at_least(config: Any, **least: int) -> None:
    for name, smallest in least.items():
        value = getattr(config, name)
        require(value >= smallest, _option(name), f"at least {smallest}", value)


def require(holds: bool, option: str, expected: str, got: Any) -> None:
    if not holds:
        raise ValueError(f"{option}: expected {expected}, got {got} instead.")


def require_finite(losses: Any, lr: float) -> None:
    """End with one message, and code 1, if a learning rate made a loss NaN or inf."""
    import numpy as np

    if not np.isfinite(losses).all():
        sys.exit(
            f"error: --lr: expected a rate at which the loss stays finite, got {lr:g} "
            "instead."
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written, with the modes of `open`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as fault:  # of a full disk, it names no file
        draft.unlink(missing_ok=True)
        raise OSError(fault.errno, fault.strerror, str(path)) from None
