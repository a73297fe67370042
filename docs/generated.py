"""Pages that a command writes, and checks with --check."""

from collections.abc import Callable, Sequence
from pathlib import Path


def write_or_check(
    path: Path, page: Callable[[], str], argv: Sequence[str], command: str
) -> int:
    """Write a page, or compare it with --check; return the exit code."""
    if argv not in ([], ["--check"]):
        print(f"error: expected no option or --check, got {' '.join(argv)}")
        return 2
    text = page()
    if not argv:
        path.write_text(text, encoding="utf-8")
        print(f"written: {path}")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == text:
        print(f"{path.name} is current")
        return 0
    print(f"{path.name} is not current: {command}")
    return 1
