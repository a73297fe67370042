"""Plant a fault in a copy: the import of one module reads a changed text.

No file is written. The text to replace must occur exactly once.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Fault(NamedTuple):
    """One small change of one file, and the experiment that must notice it."""

    name: str
    experiment: str
    file: str  # below the root
    old: str
    new: str


def plant(fault: Fault) -> None:
    """Let later imports in this process read the changed text.

    Raises:
        ValueError: If the old text does not occur exactly once.
    """
    text = changed(fault)
    sys.meta_path.insert(0, _Finder(_module(fault.file), text))


def changed(fault: Fault) -> str:
    """The text of the file with the fault."""
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    if (count := text.count(fault.old)) != 1:
        raise ValueError(
            f"{fault.name}: expected {fault.old!r} once in {fault.file}, "
            f"got it {count} times instead."
        )
    return text.replace(fault.old, fault.new)


def _module(file: str) -> str:
    return ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")


class _Finder:
    """Finds one module, and gives it a loader with another text."""

    def __init__(self, module: str, text: str):
        self.module, self.text = module, text

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != self.module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(name, spec.origin, self.text)
        return spec


class _Loader(SourceFileLoader):
    """Compiles the given text, and reads and writes no bytecode."""

    def __init__(self, name: str, path: str, text: str):
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.text.encode(), self.path)
