"""The experiment on cross-entropy: numbers, picture, command line."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cross_entropy as experiment
from experiments._cross_entropy import overflow
from experiments._reproduction import plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cross_entropy")


@pytest.fixture(scope="module")
def result(folder):
    return experiment.main(["--output-dir", str(folder)])


def test_definition_and_closed_form(result):
    by_definition, nll, loss, closed_form = result.definition.values()
    assert by_definition == nll == 0
    assert abs(loss - closed_form) < 1e-7
    assert abs(closed_form - 0.5514447139320511) < 1e-15


def test_definition_takes_any_two_distributions():
    p, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.75, 0.0])
    expected = -0.5 * math.log(0.25 * 0.75)
    np.testing.assert_allclose(
        experiment.entropy_by_definition(p, q), expected, rtol=1e-6
    )


def test_two_steps_equal_one(result):
    for (_, dtype), found in result.ways.items():
        rtol = 1e-6 if dtype == "float32" else 1e-14
        np.testing.assert_allclose(found.two_steps, found.at_once, rtol=rtol)
        assert abs(sum(found.probabilities) - 1) < 1e-6
    assert result.ways["output3", "float32"].at_once == 0
    assert 3.7e-15 < result.ways["output3", "float64"].at_once < 3.9e-15


def test_a_shift_changes_no_more_than_a_rounding(result):
    assert max(result.shifts["float32"]) < 1.2e-7
    assert 0 < max(result.shifts["float64"]) < 3e-16


def test_the_naive_softmax_fails_where_exp_overflows(result):
    for dtype, found in result.limits.items():
        eps = float(jnp.finfo(dtype).eps)
        assert found.exp_overflows * (1 - 2 * eps) < found.naive_softmax
        assert found.naive_softmax <= found.exp_overflows
        naive, two_steps, at_once = found.by_loss.values()
        assert naive <= two_steps < 1000
        assert at_once == jnp.finfo(dtype).max


def test_only_cross_entropy_survives_growing_logits(result):
    naive, two_steps, at_once = result.table.losses.values()
    slopes = list(result.table.slopes.values())
    x = result.table.x
    np.testing.assert_allclose(at_once, np.logaddexp(0, x), rtol=1e-6)
    np.testing.assert_allclose(slopes[2], 1 / (1 + np.exp(-x)), rtol=1e-6)
    assert np.isinf(naive[x > 88.73]).all()
    assert np.isinf(two_steps[x > 104]).all()
    assert np.isnan(slopes[0][x > 88.73]).all()
    # The trap: at 87 the naive loss is still right, its derivative long 0.
    np.testing.assert_allclose(naive[x == 87], 87, rtol=1e-6)
    assert slopes[0][x == 87] == 0


def test_log_sum_exp_needs_the_shift(result):
    for x, naive, shifted in result.log_sum_exps:
        np.testing.assert_allclose(shifted, np.logaddexp(0, x), rtol=1e-6)
        assert math.isinf(naive) == (x > 88.73)


def test_gradient_is_softmax_minus_one_hot(result):
    for found in result.gradients.values():
        by_hand, by_jax = found.values()
        np.testing.assert_allclose(by_jax, by_hand, rtol=1e-12, atol=1e-30)


def test_every_option_is_its_formula(result):
    assert len(result.options) == 7
    for name, (written_out, called) in result.options.items():
        np.testing.assert_allclose(called, written_out, rtol=1e-12, err_msg=name)
    assert len({called for _, called in result.options.values()}) == 7


def test_a_label_out_of_range(result):
    assert result.out_of_range.error.startswith(
        "ValueError: cross_entropy: expected target"
    )
    assert math.isnan(result.out_of_range.loss_under_jit)
    assert all(map(math.isnan, result.out_of_range.gradient_under_jit))


def test_rows_are_the_computed_numbers(result):
    rows = plain(experiment.reproduced(result))
    assert rows.keys() == {"3.35", "3.36", "3.37", "3.38", "3.39"}
    assert abs(rows["3.36"]["float32"] - 0.5514447) < 1e-7
    assert 88.72 < rows["3.39"]["naive softmax ends at"] < 88.73


def test_the_picture_and_the_tables(result, folder, capsys):
    assert [path.name for path in folder.iterdir()] == ["growing_logits.png"]
    experiment.report(result)
    printed = capsys.readouterr().out
    for expected in ("0.5514447", "48.9", "softmax - one-hot", "88.72", "ValueError"):
        assert expected in printed


def test_largest_finite_with_and_without_a_limit():
    most = float(jnp.finfo("float32").max)
    assert overflow.largest_finite(lambda pair: pair[1], "float32") == most
    squared = overflow.largest_finite(lambda pair: pair[1] ** 2, "float32")
    np.testing.assert_allclose(squared, math.sqrt(most), rtol=1e-6)


@pytest.mark.parametrize("largest", [0.0, 1.0, math.nan, math.inf])
def test_a_bad_largest_is_an_error_that_names_the_option(largest):
    with pytest.raises(
        ValueError, match=r"--largest: expected a number in \(1, 1e6\], got"
    ):
        experiment.run(experiment.Config(largest=largest))


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--largest", "x"], 2)])
def test_command_line(argv, code, capsys):
    with pytest.raises(SystemExit) as stop:
        experiment.main(argv)
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert "--largest" in printed.out + printed.err


@pytest.mark.parity
def test_torch_keeps_subnormal_probabilities():
    import torch

    def loss(x):
        return -torch.log(torch.softmax(torch.tensor([0.0, x]), 0))[0].item()

    assert math.isfinite(loss(103.9))
    assert math.isinf(loss(104.0))
