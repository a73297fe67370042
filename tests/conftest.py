"""Every test runs under strict dtype promotion; warnings are errors."""

import importlib.util
import os
import shutil

import jax
import pytest

from tests import memory
from tests.tally import Tally, lines

# These contain no tests, and need torch or eight devices to be imported.
collect_ignore_glob = ["golden/generate*.py", "torch_*.py", "shards_run.py"]
collect_ignore_glob += [f"ports/{name}.py" for name in ("theirs/*", "running", "judge")]
collect_ignore_glob += ["ports/agreement.py", "field/torch_twins.py"]

# The tests compile thousands of small programs, and run each of them only a few times.
# With XLA_FLAGS= (empty) they run as XLA compiles by default, as one step of CI does.
QUICKLY = ["--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):  # later versions do not know it
    QUICKLY.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(QUICKLY))

jax.config.update("jax_numpy_dtype_promotion", "strict")

bound = memory.Bound(memory.used)
peaks = []  # bytes, of the processes that ran tests


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def bounded_memory():
    """For a test with hundreds of programs: call this now and then."""
    return bound.check


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "chromium is not on the PATH: apt-get install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )


@pytest.fixture
def tally(record_property):
    """Counts comparisons; pytest's report ends with the sums over all tests."""
    counts = Tally()
    yield counts
    for kind, begun in counts.begun.items():
        record_property("tally", (kind, counts.agreed[kind], begun))


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers():
    return min((yield), memory.most_workers())


def pytest_configure(config):
    config.pluginmanager.register(bound)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = memory.peak()
    else:
        peaks.append(memory.peak())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    peaks.append(getattr(node, "workeroutput", {}).get("peak", 0))


def pytest_terminal_summary(terminalreporter):
    counted = lines(r for group in terminalreporter.stats.values() for r in group)
    if counted:
        terminalreporter.section("agreement")
    for line in counted:
        terminalreporter.line(line)
    most = max(peaks) / 2**30
    terminalreporter.line(f"memory: at most {most:.1f} GiB in a process")


def pytest_collection_modifyitems(items):
    missing = {
        "mnist": None if os.environ.get("JAXGRAD_DATA_DIR") else "JAXGRAD_DATA_DIR",
        "parity": None if importlib.util.find_spec("torch") else "torch",
    }
    for item in items:
        for mark, what in missing.items():
            if what and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs {what}"))
