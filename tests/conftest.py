"""Every test runs under strict dtype promotion; warnings are errors."""

import importlib.util
import os

import jax
import pytest

from tests.tally import Tally, lines

# These contain no tests, and need torch or eight devices to be imported.
collect_ignore_glob = ["golden/generate*.py", "torch_*.py", "shards_run.py"]

jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def tally(record_property):
    """Counts comparisons; pytest's report ends with the sums over all tests."""
    counts = Tally()
    yield counts
    for kind, begun in counts.begun.items():
        record_property("tally", (kind, counts.agreed[kind], begun))


def pytest_terminal_summary(terminalreporter):
    counted = lines(r for group in terminalreporter.stats.values() for r in group)
    if counted:
        terminalreporter.section("agreement")
    for line in counted:
        terminalreporter.line(line)


def pytest_collection_modifyitems(items):
    missing = {
        "mnist": None if os.environ.get("JAXGRAD_DATA_DIR") else "JAXGRAD_DATA_DIR",
        "parity": None if importlib.util.find_spec("torch") else "torch",
    }
    for item in items:
        for mark, what in missing.items():
            if what and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs {what}"))
