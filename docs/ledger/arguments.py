"""Where the arguments of activations and losses differ from PyTorch's.

It compares jaxgrad's signatures with PyTorch's, which the golden file keeps.
"""

import ast
import inspect
import json
from collections.abc import Mapping
from typing import TypeAlias

from docs.ledger._table import Table, code
from jaxgrad import activations, losses
from tests import golden

Signature: TypeAlias = Mapping[str, str | None]  # names and defaults

TORCH: Mapping[str, Signature] = json.loads(
    (golden.FOLDER / "signatures.json").read_text(encoding="utf-8")
)
DEPRECATED = {"size_average", "reduce"}  # jaxgrad has none of them
HEADER = (
    "function",
    "PyTorch's name -> jaxgrad's",
    "not in jaxgrad",
    "only in jaxgrad",
    "another default",
)


def tables() -> list[Table]:
    """The functions with a difference."""
    lines = [(name, *differences(name)) for name in TORCH]
    differing = [[cell or "-" for cell in line] for line in lines if any(line[1:])]
    return [Table("Arguments that differ", HEADER, differing)]


def differences(name: str) -> tuple[str, str, str, str]:
    """Renamed, missing and additional arguments, and other defaults, as text."""
    theirs = {k: v for k, v in TORCH[name].items() if k not in DEPRECATED}
    ours = in_jaxgrad(name)
    names = renamed(theirs, ours)
    missing = [code(key) for key in theirs if names.get(key, key) not in ours]
    own = [code(key) for key in ours if key not in theirs and key not in names.values()]
    return (
        ", ".join(f"{code(old)} -> {code(new)}" for old, new in names.items()),
        ", ".join(missing),
        ", ".join(own),
        ", ".join(_other_defaults(theirs, ours, names)),
    )


def in_jaxgrad(name: str) -> Signature:
    """The parameters of jaxgrad's function."""
    module = activations if hasattr(activations, name) else losses
    parameters = inspect.signature(getattr(module, name)).parameters.values()
    return {
        p.name: None if p.default is p.empty else repr(p.default) for p in parameters
    }


def renamed(theirs: Signature, ours: Signature) -> dict[str, str]:
    """The first argument, if it is not PyTorch's `input`, and `axis` for `dim`."""
    first = next(iter(ours))
    names = {"input": first} if "input" in theirs and "input" not in ours else {}
    return names | ({"dim": "axis"} if "dim" in theirs else {})


def _other_defaults(
    theirs: Signature, ours: Signature, names: Mapping[str, str]
) -> list[str]:
    return [
        f"{code(new)}: {ours[new] or 'none'}, not {default}"
        for old, default in theirs.items()
        if (new := names.get(old, old)) in ours and _value(default) != _value(ours[new])
    ]


def _value(default: str | None) -> object:
    return inspect.Parameter.empty if default is None else ast.literal_eval(default)
