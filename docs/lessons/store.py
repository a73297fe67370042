"""Store what the PyTorch cells print: `python -m docs.lessons.store [LESSON ...]`."""

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from docs.lessons.cells import Lesson, lessons
from docs.lessons.execute import run_cells


def torch_outputs(lesson: Lesson, folder: Path) -> dict[str, str]:
    """The text of each PyTorch cell that prints something; files go into `folder`."""
    with contextlib.chdir(folder):
        # A relative name, so that a report saved there names no folder of this machine.
        outputs = run_cells(lesson.torch.values(), Path("torch_cells.py"))
    return {cell: text for cell, text in outputs.items() if text}


def main(names: Sequence[str]) -> None:
    """Run the named lessons, or all, with the installed PyTorch."""
    for lesson in lessons():
        if lesson.torch and (not names or lesson.name in names):
            text = json.dumps(
                torch_outputs(lesson, lesson.folder), ensure_ascii=False, indent=1
            )
            path = lesson.folder / "torch_outputs.json"
            path.write_text(text + "\n", encoding="utf-8")
            print(f"written: {path.name} of {lesson.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
