"""Files by their suffix: what a report can be saved as, written whole or not at all."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from jaxgrad._checks import wrong_value

# What makes the content of a file, by its suffix.
Makers = Mapping[str, Callable[[], str | bytes]]


def save(path: str | Path, makers: Makers) -> None:
    """Write a file in the format of its suffix; it replaces one of that name at once.

    Raises:
        ValueError: If there is no such format; the message lists those there are.
    """
    path = Path(path)
    make = makers.get(path.suffix.lower())
    if make is None:
        *most, last = makers
        formats = f"{', '.join(most)} or {last}" if most else last
        raise wrong_value("save", f"path to end in {formats}", repr(path.name))
    write(path, make())


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file that replaces one of that name at once.

    Raises:
        OSError: If the file cannot be written; it names `path`.
    """
    path = Path(path).resolve()
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as fault:  # names the draft, or, if the disk is full, no file
        raise OSError(fault.errno, fault.strerror, str(path)) from None
    finally:
        draft.unlink(missing_ok=True)
