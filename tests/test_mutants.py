"""The mutation check: its own behaviour, and its full run."""

import subprocess
import sys

import pytest

from tests.mutants.__main__ import chosen
from tests.mutants.faults import FAULTS, UNNOTICED
from tests.mutants.judging import EXPERIMENTS
from tests.mutants.planting import Fault, changed

SOFTMAX = "jaxgrad/activations/_softmax.py"
LINE = "return x - jnp.max(x, axis, keepdims=True, initial=-jnp.inf)"


def test_every_fault_changes_one_place_and_compiles():
    for fault in (*FAULTS, *dict(UNNOTICED)):
        compile(changed(fault), fault.file, "exec")
        assert fault.experiment in EXPERIMENTS
        assert fault.old != fault.new
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 60
    assert {fault.experiment for fault in FAULTS} == set(EXPERIMENTS)
    assert all(reason for _, reason in UNNOTICED)


@pytest.mark.parametrize(
    ("old", "times"), [("text that is not there", "0 times"), ("x", r"\d\d+ times")]
)
def test_the_text_of_a_fault_must_occur_once(old, times):
    fault = Fault("a fault", "cross_entropy", SOFTMAX, old, "y")
    with pytest.raises(ValueError, match=f"once in {SOFTMAX}, got it {times} instead"):
        changed(fault)


def test_faults_are_chosen_by_name_or_experiment():
    faults, unnoticed = chosen(["lr + 10 %", "mnist_mlp"])
    assert [f.name for f in faults if f.experiment != "mnist_mlp"] == ["lr + 10 %"]
    assert len(faults) > 5 and unnoticed == []
    assert chosen([]) == (FAULTS, list(UNNOTICED))
    with pytest.raises(ValueError, match="or an experiment, got a, mnist instead"):
        chosen(["mnist", "a"])


def test_a_harmless_change_and_an_error_do_not_count_as_noticed(tmp_path):
    """In one process: a change without effect, a real fault, and one that raises."""
    script = f"""
import sys
from tests.mutants.__main__ import check
from tests.mutants.planting import Fault

faults = [
    Fault(name, "cross_entropy", {SOFTMAX!r}, {LINE!r}, new)
    for name, new in (("harmless", {LINE.replace("x - ", "0 + x - ")!r}),
                      ("unsafe", "return x"), ("broken", "return nothing"))
]
sys.exit(0 if check(faults) else 1)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    found = {line[15:57].strip(): line[58:] for line in lines[:-1]}
    assert found == {
        "unchanged": "every row agrees",
        "harmless": "NOT NOTICED",
        "unsafe": "rows 3.39",
        "broken": "ERROR: NameError: name 'nothing' is not defined",
    }, done.stderr
    assert lines[-1] == "1 of 3 faults noticed"
    assert done.returncode == 1


def run_of(names):
    """The exit code of the mutation check, its last line, and all that it printed."""
    command = [sys.executable, "-m", "tests.mutants", *names]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[-1], done.stdout + done.stderr


@pytest.mark.slow
def test_the_first_fault_of_three_experiments_is_noticed():
    first = {fault.experiment: fault.name for fault in reversed(FAULTS)}
    three = [first[name] for name in ("backprop", "cross_entropy", "derivatives")]
    code, last, printed = run_of(three)
    assert last == "3 of 3 faults noticed", printed
    assert code == 0, printed


@pytest.mark.by_hand
@pytest.mark.slow
def test_every_fault_is_noticed():
    code, last, printed = run_of([])
    assert last == f"{len(FAULTS)} of {len(FAULTS)} faults noticed", printed
    assert code == 0, printed
