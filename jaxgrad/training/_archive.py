"""The archives of a folder that several processes may write to.

A draft carries the process that writes it, so that others can tell a running save from
what a killed process has left.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxgrad import _archive
from jaxgrad._archive import Damaged as Damaged
from jaxgrad._archive import plain as plain
from jaxgrad._archive import read as read
from jaxgrad.training._owner import file_tag, is_abandoned

DRAFT = ".draft"  # suffix of an unfinished file


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays; an OSError, as of a full disk, leaves the file at `path`."""
    draft = path.with_name(f".{path.name}.{file_tag()}{DRAFT}")
    _archive.write(path, draft, arrays)


def sweep(folder: Path, pattern: str) -> None:
    """Remove the unfinished files of processes that have ended."""
    for draft in folder.glob(f"{pattern}{DRAFT}"):
        if is_abandoned(draft) and not draft.is_dir():
            draft.unlink(missing_ok=True)
