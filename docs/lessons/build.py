"""Write the notebooks and the table: `python -m docs.lessons.build [--check]`.

`--check` only compares; the exit code is 1 if a file is not current.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from docs.generated import write_or_check
from docs.lessons import table
from docs.lessons.cells import ROOT, lessons
from docs.lessons.notebooks import LANGUAGES, notebook

NOTEBOOKS = ROOT / "notebooks"
COMMAND = "python -m docs.lessons.build"


def pages() -> dict[Path, partial[str]]:
    """What to write: by path, the function that makes the text."""
    read = lessons()
    return {ROOT / "table.md": partial(table.page, read)} | {
        NOTEBOOKS / language / f"{lesson.name}.ipynb": partial(
            notebook, lesson, language
        )
        for lesson in read
        for language in LANGUAGES
    }


def main(argv: Sequence[str]) -> int:
    """Write every page, or check all of them."""
    codes = []
    for path, page in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        codes.append(write_or_check(path, page, argv, COMMAND))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
