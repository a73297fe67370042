"""The faults of `faults.toml`, and those among them that no row can notice."""

import tomllib
from pathlib import Path

from tests.mutants.planting import Fault

TABLE = Path(__file__).with_name("faults.toml").read_text(encoding="utf-8")
LISTED = tomllib.loads(TABLE)["faults"]


def _fault(entry: dict[str, str]) -> Fault:
    return Fault(*(entry[field] for field in Fault._fields))


FAULTS = [_fault(entry) for entry in LISTED if "reason" not in entry]
# With the reason.
UNNOTICED = [(_fault(entry), entry["reason"]) for entry in LISTED if "reason" in entry]
