"""Compare what the experiments compute with what the notebooks state.

`seed_results.toml` holds every number of the five notebooks. Only `compare` sees both
these and the computed values.

A row's `expected` (by default its `printed`) mirrors the computed value: lists and
tables are compared entry by entry, numbers within `rtol` and `atol`, strings and
booleans exactly. `{ least = a, most = b }` is an interval for the numbers in its place,
`{ stored = "name", rtol = r, atol = a }` an array of PyTorch's in `torch_results.npz`,
compared entry by entry. The kinds of rows are

    deterministic   the computed value must equal what the notebook printed
    random          it must have the stated property, for every key
    echo            the computed value is what the notebook printed, read back: it
                    must agree, but proves little
    machine         it must have the right form
    corrected       the notebook's statement, `printed`, is wrong; the computed value
                    must differ

The first two count. A row that this run cannot compute, because it lacks real MNIST or
has too few epochs, is reported as not run; if it computed a part of it (`Part`), the
row fails if that part is wrong.
"""

import functools
import json
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments._command import write_whole

SEED_RESULTS = Path(__file__).with_name("seed_results.toml")
TORCH_RESULTS = Path(__file__).with_name("torch_results.npz")
COUNTED = ("deterministic", "random")
KINDS = {
    "deterministic": "the number that the notebook printed",
    "random": "the property that every random run must have",
    "echo": "the notebook's number, read back: it proves little",
    "machine": "this machine's times and memory, in the right form",
    "corrected": "wrong statements of the notebooks, shown to be wrong",
}
LONGEST = 100  # numbers of a list that a Row keeps


class Part(dict[str, Any]):
    """The entries of a row that a run can compute, if it cannot compute them all."""

    def __or__(self, other: Any) -> "Part":
        return Part({**self, **other})

    def __ror__(self, other: Any) -> "Part":
        return Part({**other, **self})


class Row(NamedTuple):
    """One row of results/reproduction.json; `agrees` is None if it was not run."""

    seed: str
    row: str
    quantity: str
    kind: str
    printed: Any
    computed: Any
    agrees: bool | None


def seed_results() -> list[dict[str, Any]]:
    """Every row of the data file, in the notebooks' order."""
    results = []
    tables = tomllib.loads(SEED_RESULTS.read_text(encoding="utf-8"))
    for experiment, table in tables.items():
        defaults = {k: v for k, v in table.items() if not isinstance(v, dict)}
        for row, result in table.items():
            if row not in defaults:
                notebook = f"{int(row.split('.')[0]):03}"
                place = {"seed": notebook, "row": row, "experiment": experiment}
                results.append(place | defaults | result)
    return sorted(results, key=lambda result: _order(result["row"]))


def _order(row: str) -> tuple[int, bool, int]:
    notebook, number = row.split(".")
    return int(notebook), number.startswith("C"), int(number.removeprefix("C"))


def experiments_of_rows() -> dict[str, str]:
    """The experiment that computes each row."""
    return {result["row"]: result["experiment"] for result in seed_results()}


def compare(
    computed: Mapping[str, Any], only: Collection[str] | None = None
) -> list[Row]:
    """Compare the computed values, by row, with every row of the data file.

    With `only`, the rows of these experiments.

    Raises:
        KeyError: If a computed row is not in the data file.
    """
    results = seed_results()
    unknown = set(computed) - {result["row"] for result in results}
    if unknown:
        raise KeyError(f"not in {SEED_RESULTS.name}: {sorted(unknown)}")
    return [
        _row(result, computed)
        for result in results
        if only is None or result["experiment"] in only
    ]


def _row(result: dict[str, Any], computed: Mapping[str, Any]) -> Row:
    found = computed.get(result["row"])
    value, agrees = plain(found), None
    if result["row"] in computed:
        rtol, atol = result.get("rtol", 1e-6), result.get("atol", 0.0)
        agrees = agree(value, _expected(result, found), rtol, atol)
    if isinstance(found, Part) and agrees:
        agrees = None
    stated = {name: result[name] for name in Row._fields[:5]}
    return Row(**stated, computed=_shortened(value), agrees=agrees)


def _expected(result: Mapping[str, Any], found: Any) -> Any:
    """What the row expects of the entries that were computed."""
    if result["kind"] == "corrected":
        return result["printed"]
    expected = result.get("expected", result["printed"])
    if isinstance(found, Part):
        return {name: entry for name, entry in expected.items() if name in found}
    return expected


def _shortened(value: Any) -> Any:
    """The same, with long lists described in words."""
    if isinstance(value, Mapping):
        return {key: _shortened(entry) for key, entry in value.items()}
    if isinstance(value, list):
        if len(value) > LONGEST:
            return f"{len(value)} numbers"
        return [_shortened(entry) for entry in value]
    return value


def agree(computed: Any, expected: Any, rtol: float, atol: float) -> bool:
    """Whether a computed value is the expected one, within the tolerances."""
    if isinstance(expected, Mapping):
        if "stored" in expected:
            return _as_stored(computed, **expected)
        if expected and set(expected) <= {"least", "most"}:
            return _inside(computed, **expected)
        if not isinstance(computed, Mapping) or set(computed) != set(expected):
            return False
        return all(agree(computed[k], expected[k], rtol, atol) for k in expected)
    if isinstance(expected, list):
        if not isinstance(computed, list) or len(computed) != len(expected):
            return False
        pairs = zip(computed, expected, strict=True)
        return all(agree(c, e, rtol, atol) for c, e in pairs)
    if isinstance(expected, bool | str) or isinstance(computed, bool | str | None):
        return type(computed) is type(expected) and computed == expected
    if not isinstance(computed, int | float):
        return False
    return abs(computed - expected) <= atol + rtol * abs(expected)


def _as_stored(
    value: Any, stored: str, rtol: float = 1e-12, atol: float = 1e-12
) -> bool:
    """Whether `value` has the shape and the numbers of PyTorch's array."""
    expected = torch_results()[stored]
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):  # not numbers, or rows of different lengths
        return False
    if found.shape != expected.shape:
        return False
    return bool((np.abs(found - expected) <= atol + rtol * np.abs(expected)).all())


@functools.cache
def torch_results() -> dict[str, np.ndarray]:
    """PyTorch's float64 results, by name; tests/golden/generate_experiments.py."""
    with np.load(TORCH_RESULTS) as arrays:
        return dict(arrays)


def _inside(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return all(_inside(entry, least, most) for entry in value)
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and least <= value <= most
    )


def plain(value: Any) -> Any:
    """`value` for JSON: arrays become lists, named tuples become tables."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    return value


def closing_line(rows: list[Row]) -> str:
    """`N of N seed results reproduced`, and the rows that were not run."""
    counted = [row for row in rows if row.kind in COUNTED and row.agrees is not None]
    line = f"{sum(map(agreed, counted))} of {len(counted)} seed results reproduced"
    left_out = [row.row for row in rows if row.agrees is None]
    return f"{line} (not run: {', '.join(left_out)})" if left_out else line


def agreed(row: Row) -> bool:
    """Whether a row agrees, or disagrees if the notebook's statement is wrong."""
    return row.agrees is None or row.agrees == (row.kind != "corrected")


def write_rows(rows: list[Row], path: Path) -> None:
    """Write the rows as JSON, atomically."""
    text = json.dumps([row._asdict() for row in rows], indent=1, allow_nan=False)
    write_whole(path, text + "\n")
