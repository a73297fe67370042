"""The bound on the memory of a test process."""

import os

import jax
import pytest

from tests import memory


@pytest.mark.parametrize(("used", "traces"), [(memory.MOST, 1), (memory.MOST + 1, 2)])
def test_programs_are_dropped_beyond_the_limit(used, traces):
    seen = []
    f = jax.jit(lambda x: seen.append(x) or x)
    f(1.0)
    memory.Bound(lambda: used).check()
    f(1.0)
    assert len(seen) == traces


@pytest.mark.parametrize("folder", ["tests", "jaxgrad"])
def test_the_bound_holds_after_tests_and_doctests(folder, request):
    hooks = request.session.gethookproxy(request.config.rootpath / folder / "any.py")
    called = hooks.pytest_runtest_logfinish.get_hookimpls()
    assert any(isinstance(each.plugin, memory.Bound) for each in called)


def test_the_limit_rises_where_much_remains(monkeypatch):
    released = []
    monkeypatch.setattr(memory, "release", lambda: released.append(True))
    bound = memory.Bound(lambda: 3 * memory.MOST)
    bound.check()
    bound.check()
    assert released == [True]
    assert bound.limit == 3 * memory.MOST + memory.ROOM


@pytest.mark.skipif(not memory.used(), reason="needs Linux")
def test_the_memory_in_use_is_measured():
    before = memory.used()
    held = b"1" * 2**26
    assert 2**26 <= memory.used() - before + 2**22
    assert memory.peak() >= len(held)


@pytest.mark.parametrize(("gigabytes", "workers"), [(1, 1), (16, 8), (128, 64)])
def test_workers_fit_into_the_machine(gigabytes, workers, monkeypatch):
    sizes = {"SC_PHYS_PAGES": gigabytes * 2**18, "SC_PAGE_SIZE": 2**12}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert memory.most_workers() == workers
