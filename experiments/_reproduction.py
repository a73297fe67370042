"""Compare what the experiments computed with what the notebooks state.

`seed_results.toml` holds every number of the five notebooks, one `[[result]]` per
row; the experiments compute, `compare` judges, and nothing else knows both sides.

A result's `expected` (by default its `printed`) mirrors the computed value: lists
and tables are compared entry by entry, numbers within `rtol` and `atol`, strings
and booleans exactly, and `{ least = a, most = b }` is an interval for every number
in its place. A result of kind

    deterministic   must equal what the notebook printed,
    random          must have the stated property, whatever the key,
    machine         must have the right form,
    corrected       is a claim of the notebook's prose that is not so: `printed` is
                    the claim, and the measurement stands beside it.

The first two count. A result that needs what this run lacks (a room that is not
built, real MNIST, all epochs) is not computed and is named as not run.
"""

import json
import math
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

SEED_RESULTS = Path(__file__).with_name("seed_results.toml")
COUNTED = ("deterministic", "random")
KINDS = (*COUNTED, "machine", "corrected")


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
    """Every result of the notebooks, in the notebooks' order."""
    return tomllib.loads(SEED_RESULTS.read_text(encoding="utf-8"))["result"]


def compare(computed: Mapping[str, Any]) -> list[Row]:
    """Judge the computed values, by row, against every result of the notebooks.

    Args:
        computed: The computed value for each row that was run. Arrays become lists.

    Raises:
        KeyError: If a computed row is no row of the data file.
    """
    results = seed_results()
    unknown = set(computed) - {result["row"] for result in results}
    if unknown:
        raise KeyError(f"not in {SEED_RESULTS.name}: {sorted(unknown)}")
    return [_row(result, computed) for result in results]


def agree(computed: Any, expected: Any, rtol: float, atol: float) -> bool:
    """Whether a computed value is what the data file expects."""
    if isinstance(expected, Mapping):
        if set(expected) <= {"least", "most"}:
            return _inside(computed, **expected)
        return (
            isinstance(computed, Mapping)
            and set(computed) == set(expected)
            and all(agree(computed[k], expected[k], rtol, atol) for k in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(computed, list)
            and len(computed) == len(expected)
            and all(
                agree(c, e, rtol, atol) for c, e in zip(computed, expected, strict=True)
            )
        )
    if isinstance(expected, bool | str) or isinstance(computed, bool | str | None):
        return type(computed) is type(expected) and computed == expected
    if not isinstance(computed, int | float):
        return False
    return abs(computed - expected) <= atol + rtol * abs(expected)


def plain(value: Any) -> Any:
    """`value` as JSON knows it: arrays become lists, named tuples tables."""
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
    """`N of N seed results reproduced`, and what was not run."""
    counted = [row for row in rows if row.kind in COUNTED and row.agrees is not None]
    line = f"{sum(map(agreed, counted))} of {len(counted)} seed results reproduced"
    left_out = [row.row for row in rows if row.agrees is None]
    return f"{line} (not run: {', '.join(left_out)})" if left_out else line


def agreed(row: Row) -> bool:
    """Whether nothing is wrong with a row: a corrected claim must stay refuted."""
    return row.agrees is None or row.agrees == (row.kind != "corrected")


def write_rows(rows: list[Row], path: Path) -> None:
    """Write the rows as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([row._asdict() for row in rows], indent=1, allow_nan=False)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
    ) as part:
        part.write(text + "\n")
    Path(part.name).replace(path)


def _row(result: dict[str, Any], computed: Mapping[str, Any]) -> Row:
    value = plain(computed.get(result["row"]))
    expected = result["printed"]
    if result["kind"] != "corrected":
        expected = result.get("expected", expected)
    agrees = None
    if result["row"] in computed:
        agrees = agree(
            value, expected, result.get("rtol", 1e-6), result.get("atol", 0.0)
        )
    return Row(
        seed=result["seed"],
        row=result["row"],
        quantity=result["quantity"],
        kind=result["kind"],
        printed=result["printed"],
        computed=value,
        agrees=agrees,
    )


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
