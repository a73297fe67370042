"""`shard_map` and `pmap` on eight devices: the values, the line and the shard."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # forty compilations on eight devices


@pytest.fixture(scope="module")
def found():
    command = [sys.executable, "-m", "tests.shards_run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["line", "unchecked", "grid", "mapped"])
def test_explain_gives_the_numbers_of_jax(found, name):
    assert found[name]["error"] < 2e-5


def test_a_step_has_the_shards_along_its_first_axis(found):
    names = found["line"]["steps"]
    assert ["norm", [8, 1, 1], "shard"] in names
    assert ["norm", [4, 4, 1], "shard"] in found["unchecked"]["steps"]
    assert ["norm", [8, 1, 1], "shard"] in found["mapped"]["steps"]
    # The iterations of a loop are the next axis.
    assert ["sqrt", [4, 4], "loop"] in found["grid"]["steps"]
    assert any(part.startswith("branch") for _, _, part in found["grid"]["steps"])


def test_a_blame_names_the_line_and_the_shard(found):
    line = "return v / norm"
    assert found["blame line"] == ["forward", line, "data=5", None]
    assert found["blame unchecked"] == ["forward", line, "data=1, model=0", None]
    assert found["blame mapped"] == ["forward", line, "5", None]


def test_a_blame_names_the_iteration_of_a_loop_on_a_shard(found):
    line, shard = "carry = carry + jnp.sqrt(row.sum())", "data=1, model=0"
    assert found["blame loop"] == ["forward", line, shard, 1]
    assert found["blame gradient"] == ["backward", line, shard, 1]


def test_what_is_finite_is_not_blamed(found):
    assert found["finite"] is None


def test_a_custom_derivative_keeps_its_types_on_every_shard(found):
    line = "hidden = jax.nn.relu({})"
    assert found["off on all axes"] == ["dead", line.format("x @ w - 9")]
    assert found["off on one axis"] == ["dead", line.format("w - 9")]


def test_a_scalar_of_each_shard_meets_an_array(found):
    assert "division by 0" in found["scalar"] or "0 / 0" in found["scalar"]
