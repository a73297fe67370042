"""The experiment on the two-layer network: loop, gradient, statistics, command line."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import two_layer_net as experiment
from experiments._command import run_as_script
from experiments._reproduction import plain
from experiments.two_layer_net import PRINTED, TIMES, Data, Weights
from tests.tolerances import assert_close

STARTS = ["--starts", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two_layer_net")


@pytest.fixture(scope="module")
def result(folder):
    return experiment.main([*STARTS, "--output-dir", str(folder)])


@pytest.fixture
def small(x64):
    """A network of 20-10-3 units and 8 samples, in float64."""
    rng = np.random.default_rng(0)
    w1, w2, x, y = (
        jnp.asarray(rng.normal(size=size))
        for size in [(20, 10), (10, 3), (8, 20), (8, 3)]
    )
    return Weights(w1, w2), Data(x, y)


def test_the_losses_fall_from_every_start(result):
    losses = result["spreads"].data
    assert losses.shape == (3, 500)
    assert losses.dtype == np.float32
    # 640 predictions of the variance 1000 (of x w1) * 100 (units), half of them off.
    expected = 640 * 1000 * 100 / 2
    np.testing.assert_allclose(losses[:, 0], expected, rtol=0.6)
    for t in TIMES:
        assert (losses[:, t] < losses[:, max(t - 100, 0)]).all()
        np.testing.assert_array_less(losses[:, t] / PRINTED[t], 100)
        np.testing.assert_array_less(PRINTED[t] / losses[:, t], 100)


def test_the_start_is_standard_normal():
    weights, data = jax.jit(experiment.start)(jax.random.key(0))
    matrices = [np.asarray(a) for a in (*weights, *data)]
    shapes = [(1000, 100), (100, 10), (64, 1000), (64, 10)]
    assert [a.shape for a in matrices] == shapes
    for a in matrices:
        assert abs(a.mean()) < 4 / a.size**0.5
        assert abs(a.std() - 1) < 4 / (2 * a.size) ** 0.5


def test_the_loss_is_a_scalar(result):
    assert result["loss_shape"].rows == {"2.C1": "()"}


def test_the_gradient_by_hand_equals_jax_grad(result, small):
    _, difference = result["one_run"].data
    assert difference < 1e-6
    by_jax = experiment.loss_and_gradient(*small)
    by_hand = experiment.loss_and_gradient_by_hand(*small)
    jax.tree.map(assert_close, by_hand, by_jax)


def test_the_gradient_is_the_slope_of_the_loss(small):
    weights, data = small
    direction = jax.tree.map(jnp.cos, weights)
    moved = [
        jax.tree.map(lambda w, d, h=h: w + h * d, weights, direction)
        for h in (-1e-6, 1e-6)
    ]
    behind, ahead = (experiment.loss(w, data) for w in moved)
    _, gradient = experiment.loss_and_gradient(weights, data)
    slope = sum(jnp.vdot(g, d) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-6)


def test_the_update_by_hand_is_sgd(result, small):
    weights, losses = experiment.train(*small, lr=1e-4, steps=50)
    by_optax = experiment.train_with(optax.sgd(1e-4), *small, steps=50)
    jax.tree.map(assert_close, by_optax, (weights, losses))
    ways, _ = result["one_run"].data
    assert list(ways) == ["jax.grad", "by hand", "optax.sgd", "jax.grad, float64"]
    for way in ("by hand", "optax.sgd"):
        np.testing.assert_allclose(ways[way][:100], ways["jax.grad"][:100], rtol=1e-4)


def test_losses_are_recorded_before_each_step(small):
    weights, losses = experiment.train(*small, lr=1e-4, steps=3)
    assert_close(losses[0], experiment.loss(*small))
    assert experiment.loss(weights, small[1]) < losses[2] < losses[1] < losses[0]


def test_the_last_losses_are_lower_in_float64(result):
    ways, _ = result["one_run"].data
    exact, single = ways["jax.grad, float64"], ways["jax.grad"]
    assert exact.dtype == np.float64
    np.testing.assert_allclose(single[:100], exact[:100], rtol=1e-4)
    assert exact[499] < single[499]


def test_the_median_start_alone_agrees_with_its_run_among_others(result):
    """Running under vmap changes only the rounding."""
    losses = result["spreads"].data
    before = losses[np.argsort(losses[:, -1])[1]]
    alone = result["one_run"].data[0]["jax.grad"]
    np.testing.assert_allclose(alone[:100], before[:100], rtol=1e-4)
    np.testing.assert_allclose(alone[-1], before[-1], rtol=0.02)


def test_rectifiers_differ_at_zero_only(result):
    assert result["at_zero"].column("derivative at 0") == [1, 0, 0.0, 0.5, 0.5]
    assert 0 < result["at_zero"].data < 1
    for rectifier in experiment.RECTIFIERS.values():
        assert [rectifier(jnp.array(x)).item() for x in (-1.0, 0.0, 2.0)] == [0, 0, 2]
        assert [jax.grad(rectifier)(x).item() for x in (-1.0, 2.0)] == [0, 1]


def test_spreads_by_hand():
    """Four starts whose losses are at known distances from the printed one."""
    losses = np.empty((4, 500))
    distances = np.array([-3.0, -1.0, 1.0, 3.0])
    steps = np.array([0, 100, 200, 300, 400])
    losses[:, 0] = 1e9
    for t, step in zip(TIMES, steps, strict=True):
        losses[:, t] = PRINTED[t] * np.exp(distances - 1.5)
        losses[3, step] = losses[3, t]  # the last start does not fall
    spreads = experiment.spreads(losses)
    for _, printed, low, median, high, quantile, z, _ in spreads.entries:
        assert quantile == 0.75
        np.testing.assert_allclose(z, 1.5 / np.sqrt(20 / 3))
        np.testing.assert_allclose(median, printed * (np.exp(-2.5) + np.exp(-0.5)) / 2)
        assert low < median < high
    assert spreads.column("falling")[0] == 0.75


def test_reproduced(result):
    rows = plain(experiment.reproduced(result))
    assert list(rows) == ["2.1", "2.2", "2.3", "2.4", "2.5", "2.C1"]
    assert rows.pop("2.C1") == "()"
    for row in rows.values():
        assert {"printed", "fixed"} <= set(row) <= {"printed", "fixed", "start"}
    enough = np.geomspace(1, 2, 200)[:, None] * result["spreads"].data[0]
    for row in experiment.spreads(enough).rows.values():
        assert list(row) == ["printed", "median", "z", "quantile", "falling_share"]
        assert row["falling_share"] == 1.0
        assert np.isfinite(list(row.values())).all()


def test_the_fixed_start_is_numpys(x64):
    weights, data = experiment.fixed_start()
    first = 1.764052345967664, 0.4001572083672233  # of RandomState(0)
    np.testing.assert_array_equal(data.x[0, :2], first)
    assert [a.shape for a in (*data, *weights)] == list(experiment.SHAPES)


def test_report(result, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    experiment.report(result)
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines if line[:3].strip() in map(str, TIMES)]
    assert [float(row[1]) for row in table] == [
        pytest.approx(printed, rel=1e-6) for printed in PRINTED.values()
    ]
    assert any(line.startswith("optax.sgd") for line in lines)
    assert any(line.split()[:2] == ["torch.clamp(min=0)", "1"] for line in lines)


def test_the_picture_is_written(result, folder):
    assert (folder / "loss.png").stat().st_size > 10_000
    (axes,) = experiment.figures(result)["loss"].axes
    printed = axes.lines[-1]
    np.testing.assert_array_equal(printed.get_xdata(), TIMES)
    np.testing.assert_array_equal(printed.get_ydata(), list(PRINTED.values()))
    assert axes.get_yscale() == "log"


def test_help(capsys):
    with pytest.raises(SystemExit) as exit_:
        experiment.main(["--help"])
    assert exit_.value.code == 0
    assert "--side-by-side" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--starts", "1"], "--starts: expected at least 2, got 1 instead"),
        (["--side-by-side", "0"], "--side-by-side: expected at least 1, got 0 instead"),
        (
            ["--lr", "0"],
            "--lr: expected a positive number, got 0.0",
        ),
        (
            ["--lr", "nan"],
            "--lr: expected a positive number, got nan",
        ),
        (["--start", "3"], "--start"),
    ],
)
def test_bad_options_end_in_one_line(options, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        run_as_script(
            partial(experiment.main, [*options, "--output-dir", str(tmp_path)])
        )
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_rate_that_is_too_large_ends_with_one_message(tmp_path):
    with pytest.raises(SystemExit) as end:
        experiment.main([*STARTS, "--lr", "1e30", "--output-dir", str(tmp_path)])
    fault = "expected a rate at which the loss stays finite, got 1e+30 instead."
    assert end.value.code == f"error: --lr: {fault}"  # Python prints it, with code 1


@pytest.mark.parity
def test_the_loop_is_torchs(small):
    """The notebook's own loop, from the same start."""
    from benchmarks.two_layer_net import torch_train

    _, losses = experiment.train(*small, lr=1e-4, steps=100)
    assert losses[-1] < losses[0] / 10
    assert_close(losses, torch_train(*small, learning_rate=1e-4, steps=100))


@pytest.mark.parity
def test_the_benchmark_runs(capsys):
    from benchmarks import two_layer_net as benchmark

    result = benchmark.main(["--turns", "1", "--steps", "50"])
    assert [len(seconds) for seconds in result.seconds.values()] == [1, 1, 1]
    assert result.jax_losses.shape == (50,)
    np.testing.assert_allclose(result.jax_losses, result.torch_losses, rtol=1e-4)
    assert "PyTorch" in capsys.readouterr().out


@pytest.mark.parity
def test_torchs_derivatives_at_zero():
    import torch

    def slope(f):
        x = torch.zeros((), requires_grad=True)
        f(x).backward()
        assert x.grad is not None
        return x.grad.item()

    assert slope(lambda x: x.clamp(min=0)) == 1
    assert slope(torch.relu) == 0
