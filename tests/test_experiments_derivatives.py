"""The experiment on derivatives: numbers, pictures, command line."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import derivatives as experiment
from experiments._derivatives import modes
from experiments._derivatives.calculus import EXAMPLES, PARTIALS, calc, calc_gradient
from experiments._reproduction import plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("derivatives")


@pytest.fixture(scope="module")
def result(folder):
    return experiment.main(["--output-dir", str(folder)])


def test_every_order_equals_calculus(result):
    assert len(result["orders"].data) == 13
    for (formula, x), found in result["orders"].data.items():
        calculus, float32, float64 = found
        exact = np.array(EXAMPLES[formula].calculus(x))
        np.testing.assert_array_equal(calculus, exact)
        np.testing.assert_allclose(float64, exact, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(float32, exact, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("dtype", experiment.DTYPES)
@pytest.mark.parametrize("kind", experiment.DIFFERENCES)
def test_errors_of_differences_stay_below_truncation_and_rounding(result, kind, dtype):
    """Truncation is h/2 |f2| (forward) or h^2/6 |f3| (central), rounding |f| eps/h."""
    eps = np.finfo(dtype).eps
    slopes = result["differences"].column(f"{kind}, {dtype}")
    examples = result["orders"].data.items()
    for ((formula, x), (calculus, *_)), found in zip(examples, slopes, strict=True):
        f, slope, second, third = map(abs, calculus)
        h = eps ** (1 / 3) * max(1, abs(x)) if kind == "best step" else 1e-3
        truncation = 0.17 * h**2 * third + (0.51 * h * second * (kind == "forward"))
        rounding = 2 * eps * (1 + f + slope) / h
        error = abs(found - calculus[1])
        assert error <= truncation + rounding, (formula, x)


def test_partial_derivatives_equal_calculus(result):
    assert len(result["partials"].entries) == 3
    for formula, point, _, calculus, float32, float64 in result["partials"].entries:
        exact = PARTIALS[formula].calculus(*point)
        assert calculus == str(list(exact))
        assert float32 == float64 == str(list(exact))


def test_the_gradient_of_calc(result):
    exact = calc_gradient([1.0, 2.0, 3.0])
    np.testing.assert_allclose(exact, result["calc"].entries[0][1:4], rtol=1e-15)
    gradient = result["calc"].rows["3.26"]["gradient"]
    np.testing.assert_allclose(gradient["float64"], exact, rtol=1e-13)
    np.testing.assert_allclose(gradient["float32"], exact, rtol=2e-6)
    value = result["calc"].rows["3.26"]["value"]
    assert abs(value["float64"] - 0.9016306859444114) < 1e-15


def test_float32_noise_is_larger_than_the_forward_error(result):
    worst_by_label = {entry[0]: entry[-1] for entry in result["calc"].entries}
    exact, slopes = calc_gradient([1.0, 2.0, 3.0]), result["calc"].rows["3.27"]

    def worst(kind):
        error = np.max(abs(np.divide(slopes[kind], exact) - 1))
        assert worst_by_label[kind] == error
        return error

    assert worst("forward, float64") < 1e-3 < worst("central, float32")
    assert worst("central, float64") < 1e-6
    assert worst("best step, float64") < 1e-8
    assert worst("best step, float32") < 1e-3


def test_the_mean_chain(result):
    y, z, mean, gradient, of_y, of_mean = result["chain"].column("JAX shows")
    assert (y == 3).all()
    assert (z == 27).all()
    assert mean == 27
    assert (gradient == 4.5).all()
    assert of_y == ["add"]
    assert of_mean[:3] == ["add", "mul", "mul"]


def test_what_pytorchs_switches_become(result):
    shows = result["switches"].shows
    assert shows("call it again") == [8.0, 8.0]
    assert shows("jax.grad; derivative") == [4.0, 4.0]
    assert shows("argnums=(0,)") == [2.0]
    assert shows("argnums=(1, 2)") == [1.0, 1.0]
    assert shows("argnums=(0, 1, 2)") == [2.0, 1.0, 1.0]
    assert shows("the same argnums again") == [1, 1]
    assert shows("derivatives(f, 3)") == [15.0, 17.0, 14.0, 6.0]
    assert shows("d/dx x * x") == 6
    assert shows("d/dx x * stop_gradient(x)") == 3
    assert abs(shows("derivative(jnp.exp)") - math.exp(2)) < 1e-14
    assert shows("derivative(np.exp)").startswith("TracerArrayConversionError: ")


def test_a_random_square(result):
    a, value, gradient = result["partials"].data
    assert a.shape == (2, 2)
    assert a.dtype == jnp.float32
    assert (gradient == 2 * a).all()
    np.testing.assert_allclose(value, np.square(a).sum(), rtol=1e-6)
    assert a.mean() != 0


def test_errors_fall_with_the_step_then_rise_again(result):
    """Slope 1 for forward, 2 for central differences; float32 turns earlier."""
    steps, errors = result["differences"].data
    for kind, order in (("forward", 1), ("central", 2)):
        error = errors[f"{kind}, float64"]
        large = (steps > 1e-3) & (steps < 0.1)
        slope = np.polyfit(np.log(steps[large]), np.log(error[large]), 1)[0]
        assert abs(slope - order) < 0.05
        best = {
            d: steps[np.nanargmin(errors[f"{kind}, {d}"])]
            for d in ("float32", "float64")
        }
        assert best["float64"] < best["float32"]
        assert np.nanmin(error) < 1e-3 * np.nanmin(errors[f"{kind}, float32"]) + 1e-8


def test_calc_is_differentiated_under_jit_and_vmap(x64):
    x = jnp.array([[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]])
    gradients = jax.jit(jax.vmap(jax.grad(calc)))(x)
    exact = [calc_gradient(row.tolist()) for row in x]
    np.testing.assert_allclose(gradients, exact, rtol=1e-12)


def test_closed_forms_agree_with_their_own_differences():
    """The reference is checked too: f^(n+1) is the slope of f^(n)."""
    for formula, example in EXAMPLES.items():
        for x in example.points:
            high, low = example.calculus(x + 1e-5), example.calculus(x - 1e-5)
            slopes = (np.array(high) - np.array(low)) / 2e-5
            np.testing.assert_allclose(
                slopes[:3],
                example.calculus(x)[1:],
                rtol=1e-8,
                atol=1e-8,
                err_msg=formula,
            )


def test_rows_are_the_computed_numbers(result):
    rows = plain(experiment.reproduced(result))
    assert len(rows) == 22
    assert rows["1.4"] == [15.0, 17.0, 14.0, 6.0]
    np.testing.assert_allclose(rows["1.5"], [2.7182817] * 4, rtol=1e-6)
    np.testing.assert_allclose(rows["1.6"][0], 0.00059265, rtol=1e-4)
    assert rows["0.9"]["gradient"] == [[4.5, 4.5], [4.5, 4.5]]
    assert rows["4.C1"] == 4.0


def test_the_picture_and_the_tables(result, folder, capsys):
    assert [path.name for path in folder.glob("*.png")] == ["step_errors.png"]
    experiment.report(result)
    printed = capsys.readouterr().out
    for expected in ("(sqrt x + 1)^3", "central, float32", "make_jaxpr", "4.5"):
        assert expected in printed


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan, math.inf])
def test_a_bad_delta_is_an_error_that_names_the_option(delta):
    with pytest.raises(ValueError, match="--delta: expected a positive number, got"):
        experiment.run(experiment.Config(delta=delta))


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--delta", "x"], 2)])
def test_command_line(argv, code, capsys):
    with pytest.raises(SystemExit) as stop:
        experiment.main(argv)
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert "--delta" in printed.out + printed.err


@pytest.mark.parity
def test_requires_grad_sets_and_does_not_toggle():
    import torch

    a = torch.randn(2, 2)
    assert not a.requires_grad
    assert a.requires_grad_(True).requires_grad_(True).requires_grad


@pytest.mark.parity
def test_calc_in_torch_has_the_same_gradient(result):
    import torch

    for dtype, rtol in (("float64", 1e-13), ("float32", 2e-6)):
        x = torch.tensor([1.0, 2.0, 3.0], dtype=getattr(torch, dtype))
        x.requires_grad_(True)
        s = (x * 2 + 1) ** 2
        (s / (s + 2)).mean().backward()
        assert x.grad is not None
        gradient = result["calc"].rows["3.26"]["gradient"][dtype]
        np.testing.assert_allclose(gradient, x.grad, rtol=rtol)


# eval, no_grad, set_grad_enabled


def test_eval_changes_the_layers_and_no_grad_the_recording(result):
    measured, same_values = result["modes"].data
    train, evaluating, train_silent, eval_silent = measured
    assert same_values
    for mode in (train, train_silent):
        assert 0.4 < mode.zeros < 0.6
        assert abs(mode.mean) < 1e-5
    for mode in (evaluating, eval_silent):
        assert mode.zeros == 0
        assert 2.5 < mode.mean < 3.5
    assert train.gradient > 0.1
    assert evaluating.gradient > 0.1
    assert train.kept > evaluating.kept > 0
    assert train_silent[3:] == eval_silent[3:] == (0.0, 0)
    assert train.value == train_silent.value != evaluating.value == eval_silent.value


def test_training_dropout_keeps_the_mean_and_has_its_own_slope():
    key, x = jax.random.key(1), jnp.ones((1000,))
    out = modes.dropout(key, x, train=True)
    assert set(np.unique(out)) == {0.0, 2.0}
    np.testing.assert_allclose(out.mean(), 1, atol=0.1)
    slope = jax.grad(lambda x: modes.dropout(key, x, train=True).sum())(x)
    np.testing.assert_array_equal(slope, out)
    np.testing.assert_array_equal(modes.dropout(key, x, train=False), x)


@pytest.mark.parity
def test_torchs_modes_are_these():
    import torch

    x = np.random.default_rng(0).normal(3, 2, (256, 4)).astype(np.float32)
    layer: Any = torch.nn.BatchNorm1d(4)
    layer.eval()
    expected = modes.batch_norm(jnp.asarray(x), modes.Running(), train=False)
    np.testing.assert_allclose(layer(torch.tensor(x)).detach(), expected, rtol=1e-6)
    layer.train()
    expected = modes.batch_norm(jnp.asarray(x), modes.Running(), train=True)
    out = layer(torch.tensor(x)).detach()
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parity
def test_neither_switch_of_torch_frees_what_was_recorded():
    import torch

    w: Any = torch.ones(3, requires_grad=True)
    dropout = torch.nn.Dropout(0.5)
    before, also_before = (w * w).sum(), (w * w).sum()
    with torch.no_grad():
        dropout.eval()
        assert not (w * 2).requires_grad
        before.backward()  # still recorded
    assert (w * 2).requires_grad  # the block has ended
    assert not dropout.training  # the mode has not
    assert w.grad.tolist() == [2.0, 2.0, 2.0]
    torch.set_grad_enabled(False)
    try:
        also_before.backward()
        assert not (w * 2).requires_grad
        assert torch.equal(dropout(w), w)
    finally:
        torch.set_grad_enabled(True)
    assert w.grad.tolist() == [4.0, 4.0, 4.0]
