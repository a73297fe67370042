"""The public names of a module, and where each is written."""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, NamedTuple

Definition = ast.FunctionDef | ast.ClassDef


class Name(NamedTuple):
    """A public name: its module, what it is, and the statement that defines it."""

    module: str
    name: str
    value: Any
    file: Path
    statement: ast.stmt

    @property
    def text(self) -> str:
        """The docstring; of a constant the string below it, or its comment."""
        if isinstance(self.statement, Definition):
            return ast.get_docstring(self.statement) or ""
        body = syntax(self.file).body
        after = body[body.index(self.statement) + 1 :][:1]
        if after and isinstance(after[0], ast.Expr):
            return inspect.cleandoc(ast.literal_eval(after[0].value))
        return comment(self.file, self.statement)


def public_names(module: ModuleType) -> list[Name]:
    """What a module defines, or exports with `import x as x`, and documents."""
    found: list[Name] = []
    for statement in syntax(_file(module)).body:
        for name in _exported(statement):
            value = getattr(module, name)
            if not name.startswith("_") and not inspect.ismodule(value):
                found.append(Name(module.__name__, name, value, *_origin(module, name)))
    return [name for name in found if name.text]


def _exported(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ImportFrom):
        return [each.name for each in statement.names if each.asname == each.name]
    return _defined(statement)


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, Definition):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets]
    return []


def _origin(module: ModuleType, name: str) -> tuple[Path, ast.stmt]:
    """The file and the statement that define a name, behind any imports."""
    file = _file(module)
    for statement in syntax(file).body:
        if name in _defined(statement):
            return file, statement
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for each in statement.names:
                if name in (each.name, each.asname):
                    source = resolve_name(statement.module)
                    return _origin(source, each.name)
    raise ValueError(f"{module.__name__} does not define {name}")


def _file(thing: ModuleType | type) -> Path:
    return Path(inspect.getfile(thing))


@cache
def syntax(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def class_body(cls: type) -> Iterator[tuple[Path, ast.stmt]]:
    """The statements of a class and of its bases in jaxgrad, those of bases first."""
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("jaxgrad"):
            _, node = _origin(resolve_name(base.__module__), base.__name__)
            assert isinstance(node, ast.ClassDef)
            yield from ((_file(base), statement) for statement in node.body)


def comment(file: Path, statement: ast.stmt) -> str:
    """The comment behind a statement, or else on the lines above it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    behind = re.search(r"  # (.*)", lines[(statement.end_lineno or 1) - 1])
    if behind:
        return behind[1]
    above: list[str] = []
    for line in reversed(lines[: statement.lineno - 1]):
        if not line.strip().startswith("# "):
            break
        above.insert(0, line.strip().removeprefix("# "))
    return " ".join(above)
