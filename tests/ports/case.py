"""Plants a bug in a port: another line where the port's own line is marked.

The sources in `theirs/` and `ours/` name their statements in comments, on one of the
statement's lines or on the line above:

    # <- gelu   the statement that a bug at gelu changes, or PyTorch's counterpart
    # <~ gelu   another one where it may be reported: the first result that PyTorch
                has too, or the operand whose gradient differs
    # <! gelu   the statement that changes, in code that only prepares the weights
"""

import ast
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

FOLDER = Path(__file__).parent
MARKS = re.compile(r"<([-~!]) (\w+(?:, \w+)*)")


@dataclass(frozen=True)
class Bug:
    """One bug in one port.

    Attributes:
        name: The bug in words.
        program: The program, a file in `theirs/` and in `ours/`.
        line: The name of the statement that changes.
        now: What it says instead.
        cause: A regular expression for a good guess of the cause.
        source: The report or the guide that describes it: `owner/repository#number`.
        kind: Whether the values differ, or only the gradients.
        dtypes: Those in which the bug shows.
        missed: The dtypes in which jaxgrad names other lines, or none.
    """

    name: str
    program: str
    line: str
    now: str
    cause: str
    source: str
    kind: Literal["value", "gradient"] = "value"
    dtypes: tuple[str, ...] = ("float64", "float32")
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewrite:
    """A correct change to a port: other code for the same numbers."""

    name: str
    program: str
    line: str
    now: str


@dataclass(frozen=True)
class Planted:
    """A port with a change in it.

    Attributes:
        module: The changed module.
        theirs: The lines of PyTorch's program that answer for the change.
        ours: The lines of the port that do.
    """

    module: ModuleType
    theirs: set[tuple[str, int]]
    ours: set[tuple[str, int]]


def theirs(program: str) -> ModuleType:
    """PyTorch's program."""
    return importlib.import_module(f"tests.ports.theirs.{program}")


def ours(program: str) -> ModuleType:
    """The correct port."""
    return importlib.import_module(f"tests.ports.ours.{program}")


def plant(change: Bug | Rewrite, folder: Path) -> Planted:
    """The port with the change, as a module that is written into `folder`."""
    source = (FOLDER / "ours" / f"{change.program}.py").read_text(encoding="utf-8")
    text, lines = changed(source, change.line, change.now)
    name = re.sub(r"\W+", "_", f"{change.program} {change.name}")
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    original = FOLDER / "theirs" / f"{change.program}.py"
    right = marked(original.read_text(encoding="utf-8"), change.line, "-~")
    return Planted(
        _import(name, file),
        {(str(original), line) for statement in right for line in statement},
        {(str(file), line) for line in lines},
    )


def changed(source: str, name: str, now: str) -> tuple[str, list[int]]:
    """A source with another statement in place of the marked one; the right lines."""
    [change] = marked(source, name, "-!")
    traced = change in marked(source, name, "-")
    others = [i for each in marked(source, name, "~") for i in each if i not in change]
    old = source.splitlines()
    first = old[change.start - 1]
    indent = first[: len(first) - len(first.lstrip())]
    new = [indent + line for line in now.split("\n")]
    text = [*old[: change.start - 1], *new, *old[change.stop - 1 :]]
    longer = len(new) - len(change)
    lines = [i if i < change.start else i + longer for i in others]
    if traced:
        lines += range(change.start, change.start + len(new))
    return "\n".join(text) + "\n", lines


def marked(source: str, name: str, kinds: str) -> list[range]:
    """The lines of each statement with a mark of one of these kinds and this name."""
    statements = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt)
    ]
    lines = [
        number + line.lstrip().startswith("#")
        for number, line in enumerate(source.splitlines(), 1)
        for kind, names in MARKS.findall(line)
        if kind in kinds and name in names.split(", ")
    ]
    return [min((s for s in statements if i in s), key=len) for i in lines]


def _import(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
