"""Golden values: PyTorch's exact float64 results, one file per family.

    {"torch": "2.13.0", "cases": {<id of the case>: {"value": ..., "gradients":
    {<array>: ...}, "second": {<array>: ...}}}}

An array is {"shape": [...], "entries": [...]}, with "nan", "inf" and "-inf" as text.
`gradients` are those of sum(cotangent * value), `second` those of
sum(direction * gradient).
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REGENERATE = "python -m tests.golden.generate"
FOLDER = Path(__file__).parent


class Golden(NamedTuple):
    value: np.ndarray
    gradients: dict[str, np.ndarray]
    second: dict[str, np.ndarray]


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """Halves in [-1.5, 1.5]: the weights of a value before its gradient is taken."""
    return ((3 * np.arange(int(np.prod(shape))) + 1) % 7 - 3).reshape(shape) / 2


def direction(shape: tuple[int, ...]) -> np.ndarray:
    """Quarters in [-1, 1]: the weights of a gradient before its gradient is taken."""
    return ((5 * np.arange(int(np.prod(shape))) + 2) % 9 - 4).reshape(shape) / 4


@functools.cache
def load(family: str) -> dict[str, Golden]:
    """The golden values of a family, by the id of the case."""
    text = (FOLDER / f"{family}.json").read_text(encoding="utf-8")
    return {
        name: Golden(
            _decode(entry["value"]),
            {key: _decode(array) for key, array in entry["gradients"].items()},
            {key: _decode(array) for key, array in entry["second"].items()},
        )
        for name, entry in json.loads(text)["cases"].items()
    }


def dump(version: str, cases: dict[str, Golden]) -> str:
    """The text of a family's file, one line per case."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(_encode(golden), allow_nan=False)}"
        for name, golden in cases.items()
    )
    body = ",\n".join(lines)
    return f'{{"torch": "{version}", "cases": {{\n{body}\n}}}}\n'


def _encode(value: Any) -> Any:
    if isinstance(value, Golden):
        return {key: _encode(entry) for key, entry in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _encode(entry) for key, entry in value.items()}
    entries = [x if np.isfinite(x) else str(x) for x in value.ravel().tolist()]
    return {"shape": list(value.shape), "entries": entries}


def _decode(array: dict[str, Any]) -> np.ndarray:
    entries = [float(x) for x in array["entries"]]
    return np.array(entries, np.float64).reshape(array["shape"])
